"""What ships as YAML: runs' configurations here, search spaces and devices below. Installed as nas.configs."""
