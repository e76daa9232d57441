"""Records of settings: checked when made, frozen, and written out as configurations hold them."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

Record = TypeVar("Record", bound="Settings")


class Settings(BaseModel):
    """One part of a configuration, owned by the package that acts on it.

    Keys in `later` came after the first runs: they are written, and digested, only where they differ from
    their defaults, so that a run made before them stays up to date.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    later: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        return {
            key: value
            for key, value in written.items()
            if key not in self.later or getattr(self, key) != type(self).model_fields[key].default
        }

    def with_changes(self: Record, **changes: Any) -> Record:
        """The same with other values, checked again. Raises pydantic's ValidationError."""
        return type(self)(**{**dict(self), **changes})
