"""What setup.cfg cannot say: the YAML files of configs/ are installed as the data package nas.configs."""

from setuptools import find_packages, setup

floors = find_packages(include=["nas*", "search*", "supernet*", "hwmodels*"])
setup(packages=[*floors, "nas.configs"], package_dir={"nas.configs": "configs"})
