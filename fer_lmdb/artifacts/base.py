"""Base class of the schemas, types that they share, and the one line about what does not match."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from fer_lmdb.artifacts.json_text import parse_json
from fer_lmdb.errors import FerLmdbError, one_line
from fer_lmdb.io.file_names import printable_path
from fer_lmdb.ranges import MAX_INT64, shortened
from fer_lmdb.renames import modernize


class Artifact(BaseModel):
    """Schema of an object: types are not converted, numbers are finite, unknown fields are kept."""

    renamed: ClassVar[str] = ""
    """Key of `fer_lmdb.renames.STORED`, for objects with old keys."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False, frozen=True, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _modernize(cls, values: Any) -> Any:
        return modernize(cls.renamed, values) if cls.renamed and isinstance(values, dict) else values

    def to_dict(self) -> dict[str, Any]:
        """Return the object as it was stored, without the fields that it does not have."""
        return self.model_dump(exclude_unset=True)


PREFIX = re.compile(r"^(Value error, |(Input|List|String|Dictionary|Tuple) should (be |have )?)")
LENGTH = re.compile(r" after validation, not (more than )?\d+$")
"""Found length, which follows from the found value."""
MAX_KEY = 40
CLASS = re.compile(r"a valid dictionary or instance of \w+")
WORDS = {
    "a valid dictionary or object to extract fields from": "an object",
    "a valid dictionary": "an object",
    "a valid ": "a ",
    "a string": "a text",
    "a integer": "an integer",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
}
"""Words of pydantic and plain ones, replaced in this order."""

Schema = TypeVar("Schema", bound=Artifact)


def _unique(names: list[str]) -> list[str]:
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise ValueError(f'unique names, but "{repeated[0][:40]}" is repeated')
    return names


def _text(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("a text")
    return value


Text = Annotated[Any, AfterValidator(_text)]
"""A text that may contain a file name, whose bytes need not be UTF-8: pydantic's own type rejects those."""
Count = Annotated[int, Field(ge=0, le=MAX_INT64)]
Positive = Annotated[int, Field(ge=1, le=MAX_INT64)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ClassName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
ClassNames = Annotated[list[ClassName], Field(min_length=1, max_length=10_000), AfterValidator(_unique)]
Split = Literal["train", "val", "test"]
Number = Annotated[float, Field(ge=-1e15, le=1e15)]


def parse(schema: type[Schema], values: Any, where: str, error: type[FerLmdbError], remedy: str) -> Schema:
    """Return an object that matches its schema.

    Args:
        schema: The schema.
        values: The object as read.
        where: File, and line if it has several objects.
        error: Class of the error.
        remedy: What to do, in the imperative.

    Raises:
        FerLmdbError: If it does not match; the message names file, field, what was found and what was expected.
    """
    try:
        return schema.model_validate(values)
    except ValidationError as problems:
        raise error(f"{where}: damaged: {explain(problems.errors(include_url=False)[0])}; {remedy}") from None
    except UnicodeEncodeError as problem:
        raise error(f"{where}: damaged: found half a character, expected text ({problem.reason}); {remedy}") from None
    except RecursionError:
        raise error(f"{where}: damaged: found more nested objects than can be read; {remedy}") from None


def read_object(schema: type[Schema], path: Path, error: type[FerLmdbError], remedy: str) -> Schema:
    """Read a file with one JSON object.

    Raises:
        FileNotFoundError: If there is no file.
        FerLmdbError: If it cannot be read, is not JSON, or does not match its schema.
    """
    return parse(schema, _read(path, error, remedy), printable_path(path), error, remedy)


def read_lines(schema: type[Schema], path: Path, error: type[FerLmdbError], remedy: str) -> Iterator[Schema]:
    """Yield the objects of a file with one JSON object per line.

    Raises:
        FileNotFoundError: If there is no file.
        FerLmdbError: If it cannot be read, or a line is not JSON or does not match its schema.
    """
    name = printable_path(path)
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                yield parse(schema, _json(line, f"{name}:{number}", error, remedy), f"{name}:{number}", error, remedy)
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as problem:
        raise error(f"{name}: damaged: {one_line(problem)}; {remedy}") from None


def parse_texts(
    schema: type[Schema],
    texts: Mapping[str, str],
    encoded: tuple[str, ...],
    where: str,
    error: type[FerLmdbError],
    remedy: str,
) -> Schema:
    """Return a table of texts, such as the metadata of a safetensors or ONNX file, some of which are JSON.

    Args:
        schema: The schema.
        texts: The texts.
        encoded: Names of those that are JSON.
        where: File.
        error: Class of the error.
        remedy: What to do, in the imperative.

    Raises:
        FerLmdbError: If a text is not JSON, or the table does not match its schema.
    """
    decoded = {
        name: _json(text, f"{where}: {name}", error, remedy) if name in encoded else text
        for name, text in modernize(schema.renamed, texts).items()
    }
    return parse(schema, decoded, where, error, remedy)


def explain(problem: ErrorDetails) -> str:
    """Return field, found and expected of a problem that pydantic reports, in one line."""
    place = ".".join(_short_key(str(part)) for part in problem["loc"]) or "the object"
    message = one_line(ValueError(problem["msg"]))
    if problem["type"] == "missing":
        return f"{place}: found none, expected one"
    message = CLASS.sub("an object", LENGTH.sub("", PREFIX.sub("", message)))
    for words, plain in WORDS.items():
        message = message.replace(words, plain)
    return f"{place}: found {shortened(problem['input'])}, expected {message}"


def _short_key(key: str) -> str:
    return key if len(key) <= MAX_KEY else f"{key[: MAX_KEY - 3]}..."


def _read(path: Path, error: type[FerLmdbError], remedy: str) -> Any:
    name = printable_path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as problem:
        raise error(f"{name}: damaged: {one_line(problem)}; {remedy}") from None
    return _json(text, name, error, remedy)


def _json(text: str, where: str, error: type[FerLmdbError], remedy: str) -> Any:
    try:
        return parse_json(text)
    except ValueError as problem:
        raise error(f"{where}: damaged: {one_line(problem)}; {remedy}") from None
