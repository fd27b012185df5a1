"""What commands find a deployment by is what the stacks give out."""

from outcrop.stores import deployed
from outcrop.version import VERSION
from tests.stacks.conftest import Templates


def test_the_stacks_that_commands_know_are_those_there_are_each_after_what_it_imports(
    templates: Templates,
) -> None:
    assert set(templates) <= set(deployed.STACKS)
    for name, template in templates.items():
        for other in templates.keys() - {name}:
            if f'"Fn::ImportValue": "{other}:' in str(template).replace("'", '"'):
                assert deployed.STACKS.index(other) < deployed.STACKS.index(name), (name, other)


def test_each_setting_that_commands_read_is_an_output(templates: Templates) -> None:
    for variable, stack, output in deployed.SETTINGS:
        if stack in templates:
            assert output in templates[stack]["Outputs"], (variable, stack)


def test_each_stack_says_of_which_release_it_is(templates: Templates) -> None:
    assert {one["Outputs"]["Version"]["Value"] for one in templates.values()} == {VERSION}
