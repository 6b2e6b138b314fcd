"""AWS IoT policies: what a document of statements grants to one client. Pure.

Sources: AWS IoT Core Developer Guide, "AWS IoT Core policies": actions, action resources, policy variables, examples. It
follows the IAM User Guide, "Policy evaluation logic" and "Variables and tags", in what it does not say itself.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from typing import Any, Final, Self

VERSION: Final = "2012-10-17"  # in older ones a variable is plain text
CLIENT_ID: Final = "iot:ClientId"
THING_NAME: Final = "iot:Connection.Thing.ThingName"
IS_ATTACHED: Final = "iot:Connection.Thing.IsAttached"
VARIABLES: Final = (CLIENT_ID, THING_NAME, IS_ATTACHED)
SIGNS: Final = ("*", "?", "$")  # ${*} is an asterisk, and no wildcard
VARIABLE: Final = re.compile(r"\$\{([^}]*)\}")
# Any region and account: there is one of each here, and a policy that AWS has can be taken as it is.
ARN: Final = re.compile(r"arn:[^:]+:iot:[^:]*:[^:]*:((?:[a-z]+/|[a-z]*[*?]).*)", re.DOTALL)


class PolicyError(ValueError):
    """What is wrong with a policy: where, what may stand there, and what stood there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of a policy.

    Attributes:
        resources: such as ``topic/lamps/*``, without what an ARN has in front.
        attached: the values of IsAttached for which it holds.
    """

    allows: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    attached: frozenset[bool] = frozenset({True, False})


Policy = tuple[Statement, ...]


# --- Reading


def policy_of(document: Any) -> Policy:
    """Read a policy document, as ``get_policy`` and the console of AWS IoT show it.

    Shape: ``{"Version": "2012-10-17", "Statement": [{"Effect": "Allow" | "Deny", "Action": …, "Resource": …,
    "Condition"?: {"Bool": {"iot:Connection.Thing.IsAttached": "true"}}}]}``; one of a list needs no list around it.

    Raises:
        PolicyError: what is no such document, or asks for what is not known here: left out, a Deny would deny nothing.
    """
    _only(document, "policy", "Version", "Statement", "Id")
    if document.get("Version") != VERSION:
        raise PolicyError(f"policy.Version: expected {VERSION!r}, got {document.get('Version')!r}")
    statements = document.get("Statement")
    listed = statements if isinstance(statements, list) else [statements]
    return tuple(_statement(one, f"policy.Statement[{i}]") for i, one in enumerate(listed))


def _only(found: Any, where: str, *names: str) -> None:
    if not isinstance(found, dict):
        raise PolicyError(f"{where}: expected an object, got {found!r:.80}")
    if unknown := sorted(found.keys() - set(names)):
        raise PolicyError(f"{where}: expected {', '.join(names)}, got {unknown[0]!r}")


def _statement(found: Any, where: str) -> Statement:
    _only(found, where, "Sid", "Effect", "Action", "Resource", "Condition")
    if found.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError(f"{where}.Effect: expected 'Allow' or 'Deny', got {found.get('Effect')!r}")
    actions, resources = f"{where}.Action", f"{where}.Resource"
    return Statement(
        allows=found["Effect"] == "Allow",
        actions=tuple(_action(text, actions) for text in _texts(found.get("Action"), actions)),
        resources=tuple(_resource(text, resources) for text in _texts(found.get("Resource"), resources)),
        attached=_attached(found.get("Condition", {}), f"{where}.Condition"),
    )


def _texts(found: Any, where: str) -> list[str]:
    listed = found if isinstance(found, list) else [found]
    if not listed or not all(isinstance(text, str) for text in listed):
        raise PolicyError(f"{where}: expected a text, or a list of them, got {found!r:.80}")
    return listed


def _action(text: str, where: str) -> str:
    # Those of other doors, such as iot:GetThingShadow over REST, may stand there; over MQTT nobody asks for them.
    if text != "*" and not re.fullmatch(r"[A-Za-z]+:[A-Za-z*?]+", text):
        raise PolicyError(f"{where}: expected such as 'iot:Publish' or 'iot:*', got {text!r}")
    return text


def _resource(text: str, where: str) -> str:
    for name in VARIABLE.findall(text):
        if name not in (*VARIABLES, *SIGNS):
            raise PolicyError(f"{where}: expected of variables {', '.join(VARIABLES)}, got {name!r}")
    if text == "*":
        return text
    if not (found := ARN.fullmatch(text)):
        raise PolicyError(
            f"{where}: expected '*' or such as 'arn:aws:iot:us-east-1:123456789012:topic/lamps/*', got {text!r}"
        )
    return found[1]


def _attached(condition: Any, where: str) -> frozenset[bool]:
    if condition == {}:
        return frozenset({True, False})
    _only(condition, where, "Bool")
    _only(condition["Bool"], f"{where}.Bool", IS_ATTACHED)
    wanted = condition["Bool"].get(IS_ATTACHED)
    listed = wanted if isinstance(wanted, list) else [wanted]
    found = {str(each).lower() for each in listed}
    if not found or not found <= {"true", "false"}:
        raise PolicyError(f"{where}.Bool.{IS_ATTACHED}: expected 'true' or 'false', got {wanted!r:.80}")
    return frozenset(each == "true" for each in found)


# --- Judging


@dataclass(frozen=True, slots=True)
class _Rule:
    """A statement, filled in for one client."""

    allows: bool
    actions: re.Pattern[str]
    resources: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Grants:
    """What a policy grants to one client: what some statement allows, and none denies."""

    rules: tuple[_Rule, ...]

    @classmethod
    def of(cls, policy: Policy, *, client_id: str, things: Iterable[str]) -> Self:
        """What it grants to a client whose certificate is attached to these things."""
        attached = client_id in set(things)  # the connection's thing is the one of the client's own name
        said = (each for each in policy if attached in each.attached)
        return cls(tuple(_rule(each, client_id, attached) for each in said))

    def allow(self, action: str, resource: str) -> bool:
        """Whether an action such as ``iot:Publish`` is granted on a resource such as ``topic/lamps/1``."""
        verdicts = {
            rule.allows
            for rule in self.rules
            if rule.actions.fullmatch(action) and rule.resources.fullmatch(resource)
        }
        return verdicts == {True}


def _rule(statement: Statement, client_id: str, attached: bool) -> _Rule:
    resources = _filled(statement, client_id, attached)
    actions = _pattern(map(_plain, statement.actions), re.IGNORECASE)  # as IAM takes them
    return _Rule(statement.allows, actions, _pattern(resources))


def _pattern(globs: Iterable[str], flags: int = 0) -> re.Pattern[str]:
    """What matches any of some globs; of none, nothing."""
    # translate() makes of each "*" a step that is never taken back: no topic is long to judge.
    return re.compile("|".join(map(translate, globs)) or r"(?!)", flags)


def _plain(text: str) -> str:
    """Of the wildcards of ``translate`` the policy's alone: no class of characters."""
    return text.replace("[", "[[]")


def _filled(statement: Statement, client_id: str, attached: bool) -> Iterator[str]:
    """The resources of a statement with the client's values in the place of variables."""
    values = {
        CLIENT_ID: client_id,
        THING_NAME: client_id if attached else None,
        IS_ATTACHED: "true" if attached else "false",
        **dict(zip(SIGNS, SIGNS, strict=True)),
    }
    if statement.allows and {"+", "#"} & set(client_id):
        values[CLIENT_ID] = None  # in a filter it would be a wildcard, and reach what is others'
    for resource in statement.resources:
        literals, names = VARIABLE.split(resource)[::2], VARIABLE.findall(resource)
        if not statement.allows or all(values[name] is not None for name in names):
            yield _joined(literals, [values[name] for name in names])


def _joined(literals: Sequence[str], values: Sequence[str | None]) -> str:
    """A resource as a glob; what has no value may be anything, which only a Deny lets pass."""
    filled = ("*" if value is None else re.sub(r"([*?[])", r"[\1]", value) for value in values)
    return "".join(part for pair in zip(map(_plain, literals), [*filled, ""], strict=True) for part in pair)
