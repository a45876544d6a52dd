"""Settings: the only reader of the environment.

Every setting is one row of ``SPECS``: its name, how it is read, its default and what it is for. The environment
(``SLUICE_NAME``) wins over ``sluice.yaml`` in the working folder (``name``), which wins over the default.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

from filters.base_url import base_url

PREFIX = "SLUICE_"
KEYS_PREFIX = PREFIX + "UPSTREAM_KEY_"
"""Begins the names of variables with the keys of the upstreams that the policy names."""
KEYS_FOLDER = "upstream-keys"
"""Where in the data folder those keys may stand, one file each."""
CLASSIFIER_KEYS_PREFIX = PREFIX + "CLASSIFIER_KEY_"
"""The same for the servers of classifiers."""
CLASSIFIER_KEYS_FOLDER = "classifier-keys"
"""The same for the servers of classifiers."""
FILE_NAME = "sluice.yaml"
MIN_SECRET = 16
"""Characters that a secret has at least."""

_UNITS = {"": 1, "b": 1, "k": 2**10, "kib": 2**10, "m": 2**20, "mib": 2**20, "g": 2**30, "gib": 2**30}
_LEVELS = ("debug", "info", "warning", "error")


class SettingsError(Exception):
    """A setting cannot be used. The message names the setting, what is wrong and what to change."""

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(f"{setting}: {problem}")
        self.setting = setting
        self.problem = problem


# --- readers: one text in, one value out; ValueError says what is wrong ----------------------------------------------


def _text(value: str) -> str:
    return value


def _path(value: str) -> Path:
    return Path(value).expanduser()


def _port(value: str) -> int:
    if value.startswith("tcp://"):
        msg = (
            f"{value!r} is not a port number; Kubernetes sets such a variable for a service of this name: "
            "set enableServiceLinks: false in the pod, or rename the service"
        )
        raise ValueError(msg)
    return _whole(value, 0, 65535, "a port number")


def _whole(value: str, low: int, high: int, what: str) -> int:
    if not re.fullmatch(r"\d{1,12}", value) or not low <= int(value) <= high:
        msg = f"{value!r} is not {what}: use a whole number from {low} to {high}"
        raise ValueError(msg)
    return int(value)


def _workers(value: str) -> int:
    return _whole(value, 1, 256, "a number of worker processes")


def _seconds(value: str) -> float:
    return _number(value, "seconds")


def _milliseconds(value: str) -> float:
    return _number(value, "milliseconds")


def _number(value: str, unit: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 86_400_000:
        msg = f"{value!r} is not a number of {unit}: use 0 or more, for example 30"
        raise ValueError(msg)
    return number


def _size(value: str) -> int:
    found = re.fullmatch(r"(\d{1,15})\s*([a-z]*)", value.strip().lower())
    if not found or found[2] not in _UNITS or int(found[1]) == 0:
        msg = f"{value!r} is not a size: use bytes or a unit, for example 16777216 or 16MiB"
        raise ValueError(msg)
    return int(found[1]) * _UNITS[found[2]]


def _database_url(value: str) -> str:
    scheme = value.partition("://")[0].partition("+")[0]
    if scheme not in {"sqlite", "postgresql", "postgres"} or "://" not in value:
        msg = "not a database URL: use sqlite:///path/to/file.db or postgresql://user:password@host/name"
        raise ValueError(msg)
    return value


def _secret(value: str) -> str:
    if len(value) < MIN_SECRET:
        msg = f"too short: use at least {MIN_SECRET} characters, for example from `openssl rand -hex 32`"
        raise ValueError(msg)
    return value


def _header_key(value: str) -> str:
    if not value.isascii() or not value.isprintable() or " " in value:
        msg = "holds a character that no HTTP header can carry: use printable ASCII without spaces"
        raise ValueError(msg)
    return value


def _key_list(value: str) -> tuple[str, ...]:
    keys = tuple(key for key in (_header_key(part.strip()) for part in value.split(",")) if key)
    if not keys:
        msg = "holds no key: use a comma-separated list, or leave the setting out"
        raise ValueError(msg)
    return keys


def _choice(*allowed: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value.lower() not in allowed:
            msg = f"{value!r} is none of {', '.join(allowed)}"
            raise ValueError(msg)
        return value.lower()

    return read


# --- the table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spec:
    """One setting: name without prefix, reader of its text, default as shown, meaning."""

    name: str
    read: Callable[[str], Any]
    default: str | None
    meaning: str
    secret: bool = False
    unset: str = "unset"  # what stands in for a value where there is no default

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return PREFIX + self.name.upper()


SPECS: tuple[Spec, ...] = (
    Spec("host", _text, "127.0.0.1", "address of the data plane"),
    Spec("port", _port, "8080", "port of the data plane"),
    Spec("admin_host", _text, "127.0.0.1", "address of the control plane"),
    Spec("admin_port", _port, "8081", "port of the control plane"),
    Spec("workers", _workers, "1", "data-plane processes on one port"),
    Spec("grace_s", _seconds, "30", "seconds that open streams get to end after SIGTERM"),
    Spec("upstream", base_url, None, "base URL of the model API", unset="built-in demo model"),
    Spec(
        "upstream_key",
        _header_key,
        None,
        "replaces the client's credential towards the upstream",
        secret=True,
        unset="the client's credential is passed through",
    ),
    Spec("upstream_connect_timeout", _seconds, "10", "seconds to connect to the upstream"),
    Spec("upstream_timeout", _seconds, "300", "seconds without a byte from the upstream"),
    Spec("max_body", _size, "16MiB", "largest request body, after decoding"),
    Spec("data_dir", _path, ".sluice", "folder of the database, models, spool and generated secrets"),
    Spec(
        "database_url",
        _database_url,
        None,
        "database of violations, terms and keys",
        unset="sluice.db in the data folder",
    ),
    Spec("policy", _path, None, "path of a policy YAML", unset="shipped policy"),
    Spec("apis", _path, None, "YAML file of declared model APIs, or a folder of such", unset="none are declared"),
    Spec("base_lexicon", _choice("shipped", "none"), "shipped", "none: only terms that the operator imported"),
    Spec(
        "classifier",
        _text,
        "shipped",
        "shipped, none, or the folder of a model; a classifier of the policy takes its place",
    ),
    Spec(
        "inference_deadline_ms",
        _milliseconds,
        "5000",
        "time for the classifier to answer, and for every 32,768 characters of a body; then on_error",
    ),
    Spec(
        "secret_key",
        _secret,
        None,
        "encrypts stored content, keys the pseudonyms",
        secret=True,
        unset="generated into the data folder",
    ),
    Spec(
        "admin_key",
        lambda value: _header_key(_secret(value)),
        None,
        "first admin key of the control plane",
        secret=True,
        unset="generated into the data folder, printed once",
    ),
    Spec(
        "moderation_keys",
        _key_list,
        None,
        "bearer keys accepted on /v1/moderations and /v1/guard",
        secret=True,
        unset="open to everyone who reaches the port",
    ),
    Spec("log_level", _choice(*_LEVELS), "info", "least severe log line that is written"),
)
_BY_NAME = {spec.name: spec for spec in SPECS}


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, read and checked. Sizes are bytes; times are seconds unless the name says otherwise.

    ``origins`` maps each name to where its value came from; ``warnings`` holds what looks like a mistake but
    stops nothing (a ``SLUICE_`` variable that is no setting).
    """

    host: str = "127.0.0.1"
    port: int = 8080
    admin_host: str = "127.0.0.1"
    admin_port: int = 8081
    workers: int = 1
    grace_s: float = 30.0
    upstream: str | None = None
    upstream_key: str | None = field(default=None, repr=False)
    upstream_connect_timeout: float = 10.0
    upstream_timeout: float = 300.0
    max_body: int = 16 * 2**20
    data_dir: Path = Path(".sluice")
    database_url: str = field(default="", repr=False)
    policy: Path | None = None
    apis: Path | None = None
    base_lexicon: str = "shipped"
    classifier: str = "shipped"
    inference_deadline_ms: float = 5000.0
    secret_key: str | None = field(default=None, repr=False)
    admin_key: str | None = field(default=None, repr=False)
    moderation_keys: tuple[str, ...] | None = field(default=None, repr=False)
    log_level: str = "info"
    upstream_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    classifier_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    warnings: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.database_url:
            path = (self.data_dir / "sluice.db").resolve()
            object.__setattr__(self, "database_url", f"sqlite:///{path}")

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Settings:
        """Read the environment and ``sluice.yaml``.

        Raises:
            SettingsError: a value cannot be used, or the file cannot be read.
        """
        environ = os.environ if environ is None else environ
        file = (folder or Path()) / FILE_NAME
        in_file = _read_file(file)
        values: dict[str, Any] = {}
        origins: dict[str, str] = {}
        for spec in SPECS:
            from_environment = environ.get(spec.variable, "")
            if from_environment != "":  # compose files pass unset variables as empty ones
                values[spec.name] = _read(spec, from_environment, spec.variable)
                origins[spec.name] = f"environment ({spec.variable})"
            elif in_file.get(spec.name, "") != "":
                values[spec.name] = _read(spec, in_file[spec.name], f"{spec.name} in {file.name}")
                origins[spec.name] = str(file.name)
            else:
                origins[spec.name] = "default"
        return cls(
            **values,
            upstream_keys=_named_keys(environ, KEYS_PREFIX),
            classifier_keys=_named_keys(environ, CLASSIFIER_KEYS_PREFIX),
            origins=origins,
            warnings=_unknown_variables(environ),
        )

    def override(self, **changes: Any) -> Settings:
        """The same settings with values from the command line in place of those named; ``None`` changes nothing."""
        given = {name: value for name, value in changes.items() if value is not None}
        origins = {**self.origins, **dict.fromkeys(given, "command line")}
        return replace(self, **given, origins=origins)

    def shown(self) -> list[tuple[str, str, str]]:
        """Rows of (variable, value, origin) for people; secrets and passwords hidden."""
        rows = [(spec.variable, _show(spec, getattr(self, spec.name), self), self._origin(spec)) for spec in SPECS]
        variables = [_key_variable(KEYS_PREFIX, name) for name in self.upstream_keys]
        variables += [_key_variable(CLASSIFIER_KEYS_PREFIX, name) for name in self.classifier_keys]
        return rows + [(variable, "(hidden)", f"environment ({variable})") for variable in variables]

    def _origin(self, spec: Spec) -> str:
        return self.origins.get(spec.name, "default")

    def upstream_key_of(self, name: str) -> str | None:
        """The key of an upstream of the policy: from the environment, else from its file; ``None`` if there is none.

        ``name`` is in lower-case letters, digits and hyphens, as the policy has it.
        """
        return self._key(self.upstream_keys, KEYS_FOLDER, name)

    def upstream_key_places(self, name: str) -> str:
        """Where the key of an upstream may stand, for people."""
        return f"{_key_variable(KEYS_PREFIX, name)}, or the file {self.data_dir / KEYS_FOLDER / name}"

    def classifier_key_of(self, name: str) -> str | None:
        """The key of a classifier's server: from the environment, else from its file; ``None`` if there is none."""
        return self._key(self.classifier_keys, CLASSIFIER_KEYS_FOLDER, name)

    def classifier_key_places(self, name: str) -> str:
        """Where the key of a classifier's server may stand, for people."""
        variable = _key_variable(CLASSIFIER_KEYS_PREFIX, name)
        return f"{variable}, or the file {self.data_dir / CLASSIFIER_KEYS_FOLDER / name}"

    def _key(self, given: Mapping[str, str], folder: str, name: str) -> str | None:
        if name in given:
            return given[name]
        try:
            text = (self.data_dir / folder / name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return text or None

    @property
    def spool_dir(self) -> Path:
        """Where violations wait, fsynced, while the database is away."""
        return self.data_dir / "spool"

    @property
    def compiled_dir(self) -> Path:
        """Where compiled lexicons are kept for every process to load; they can be removed at any time."""
        return self.data_dir / "compiled"

    @property
    def models_dir(self) -> Path:
        """Where the operator's own models lie, one folder a version."""
        return self.data_dir / "models"


def read_value(name: str, text: str) -> Any:
    """Read one setting's text, as the command line has it.

    Raises:
        SettingsError: it cannot be used.
    """
    spec = _BY_NAME[name]
    return _read(spec, text, f"--{name.replace('_', '-')}")


def _read_file(path: Path) -> dict[str, str]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(path.name, f"cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise SettingsError(path.name, f"is not YAML: {' '.join(str(error).split())}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise SettingsError(path.name, "must hold lines of the form `name: value`, for example `port: 8080`")
    return {_known(name, path.name): _scalar(name, value, path.name) for name, value in data.items()}


def _known(name: object, file: str) -> str:
    if isinstance(name, str) and name in _BY_NAME:
        return name
    close = difflib.get_close_matches(str(name).lower().removeprefix("sluice_"), _BY_NAME, n=1)
    hint = f"did you mean `{close[0]}`?" if close else "`sluice config` prints every setting"
    where = f"{name} in {file}"
    raise SettingsError(where, f"is no setting; {hint}")


def _scalar(name: str, value: object, file: str) -> str:
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return ",".join(str(item) for item in value)
    if isinstance(value, dict | list):
        where = f"{name} in {file}"
        raise SettingsError(where, "must be one value")
    return str(value)


def _read(spec: Spec, text: str, where: str) -> Any:
    try:
        return spec.read(text)
    except ValueError as error:
        raise SettingsError(where, str(error)) from None


def _key_variable(prefix: str, name: str) -> str:
    return prefix + name.upper().replace("-", "_")


def _named_keys(environ: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Keys of what the policy names, by the names that it has for them."""
    found = {}
    for variable in sorted(environ):
        if variable.startswith(prefix) and environ[variable]:
            name = variable.removeprefix(prefix).lower().replace("_", "-")
            try:
                found[name] = _header_key(environ[variable])
            except ValueError as error:
                raise SettingsError(variable, str(error)) from None
    return found


_NAMED = (PREFIX + "TEST_", KEYS_PREFIX, CLASSIFIER_KEYS_PREFIX)


def _unknown_variables(environ: Mapping[str, str]) -> tuple[str, ...]:
    known = {spec.variable for spec in SPECS}
    found = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in known or name.startswith(_NAMED):
            continue
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        if close:  # anything further off is some other tool's (Kubernetes sets SLUICE_SERVICE_HOST and more)
            found.append(f"{name} is no setting; did you mean {close[0]}?")
    return tuple(found)


def _show(spec: Spec, value: object, settings: Settings) -> str:
    if spec.secret:
        return "(hidden)" if value else f"({spec.unset})"
    if spec.name == "database_url":
        return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", settings.database_url)
    if value is None:
        return f"({spec.unset})"
    return f"{value:g}" if isinstance(value, float) else str(value)


if {spec.name for spec in SPECS} != {f.name for f in fields(Settings)} - {
    "upstream_keys",
    "classifier_keys",
    "origins",
    "warnings",
}:
    msg = "SPECS and Settings name different settings"
    raise AssertionError(msg)
