"""DynamoDB's answers, written as fast as they are read.

moto looks for each of the ten fields of every attribute's value under five spellings, which takes two thirds
of the time of a `GetItem`. The values are plain dicts whose fields are spelled as on the wire: they are
written as they are. It touches private names of moto, as `local/moto_patches.py` does.
"""

from typing import Any

from moto.core.serialize import BaseJSONSerializer

motos_way = BaseJSONSerializer._serialize_type_structure


def write_as_they_are() -> None:
    """Every answer stays what it was, byte for byte."""
    setattr(BaseJSONSerializer, motos_way.__name__, _serialize)


def _serialize(
    self: BaseJSONSerializer, serialized: dict[str, Any], value: Any, shape: Any, key: str
) -> None:
    if shape.name == "AttributeValue" and type(value) is dict and value.keys() <= shape.members.keys():
        fields: dict[str, Any] = self.MAP_TYPE()
        for name, field in value.items():
            if field is not None:
                self._serialize(fields, field, shape.members[name], name)
        self._default_serialize(serialized, fields, shape, key)
    else:
        motos_way(self, serialized, value, shape, key)
