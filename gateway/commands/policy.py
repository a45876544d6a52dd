"""``sluice policy``: check a policy before it is used, and show the one that is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.commands import terminal
from gateway.commands.opened import load_settings

if TYPE_CHECKING:
    from filters.policy import Policy
    from gateway.settings import Settings

app = typer.Typer(help="The moderation policy.", no_args_is_help=True)


@app.command()
def validate(
    file: Annotated[Path | None, typer.Argument(help="A policy YAML; that of the settings if left out.")] = None,
    with_classifier: Annotated[
        bool, typer.Option("--classifier", help="Load the classifier that it names too, and ask it once.")
    ] = False,
) -> None:
    """Check a policy file against the schema and the category codes."""
    with terminal.problems():
        from filters.policy import Policy, PolicyError
        from gateway.sources import SHIPPED_POLICY, read_text

        path = file or load_settings().policy or SHIPPED_POLICY
        try:
            policy = Policy.parse_yaml(read_text(path), str(path))
        except PolicyError as error:
            if not error.others:
                raise
            first = str(error).removesuffix(f" (and {len(error.others)} more)")
            for each in (first, *error.others):
                terminal.note(f"sluice: {each}")
            terminal.fail(f"{path} is not valid: {len(error.others) + 1} errors")
        settings = load_settings()
        for upstream in policy.upstreams:
            if upstream.key is not None and settings.upstream_key_of(upstream.key) is None:
                places = settings.upstream_key_places(upstream.key)
                terminal.note(f"sluice: the key of upstream {upstream.name!r} is not there yet: {places}")
        if with_classifier:
            _try_classifier(settings, policy, path)
    terminal.say(f"{path} is valid: version {policy.version}, mode {policy.mode}, {len(policy.profiles)} profiles")


def _try_classifier(settings: Settings, policy: Policy, path: Path) -> None:
    from gateway.classifier_loading import ClassifierLoader
    from gateway.sources import PolicySource, read_text
    from models.types import Served

    loader = ClassifierLoader(settings)
    classifier = loader.load(policy, PolicySource(read_text(path), str(path), "file"))
    if classifier is None:
        terminal.note("sluice: there is no classifier: SLUICE_CLASSIFIER is none, and the policy names none")
        return
    for note in classifier.notes if isinstance(classifier, Served) else ():
        terminal.note(f"sluice: {note}")
    for reason in loader.unanswered:
        terminal.note(f"sluice: a classifier could not be asked, so its labels were not checked: {reason}")
    terminal.say(f"classifier {classifier.version}: {', '.join(classifier.labels)}")
    if isinstance(classifier, Served):
        classifier.close()


@app.command()
def show(
    profile: Annotated[str | None, typer.Option(help="As this profile has it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML.")] = False,
) -> None:
    """Print the policy in force, every default filled in: the control plane's, else the file's or the shipped one."""
    with terminal.problems():
        import yaml

        from gateway.commands.judging import policy_in_force

        source = policy_in_force(load_settings())
        policy = source.parse()
        data = policy.profile(profile).filled()
    if as_json:
        terminal.say_json(data)
        return
    terminal.note(f"# version {policy.version}, from {source.name}")
    if policy.classifier is None:
        terminal.note("# classifier: none is named, so that of SLUICE_CLASSIFIER scores")
    terminal.say(yaml.safe_dump(data, allow_unicode=True, sort_keys=False).rstrip())


@app.command()
def schema() -> None:
    """Print the JSON Schema of a policy file, for editors."""
    from filters.policy import Policy

    terminal.say_json(Policy.schema())
