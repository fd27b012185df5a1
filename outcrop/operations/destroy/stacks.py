"""The stacks, the last made first, and network interfaces that Lambda leaves for a while."""

from outcrop.operations.destroy.kind import Kind
from outcrop.stores import lookups
from outcrop.stores.deployed import STACKS
from outcrop.stores.refusals import DeploymentError

DOORS = ("OutcropMonitoring", "OutcropApi")
"""Go first: nothing is begun any more then, and no alarm goes off."""
WITH_DATA = ("OutcropImages", "OutcropStorage")
"""Go last: they are how a second try knows what data there is."""


def in_order() -> list[str]:
    """All between these, each before those it imports from."""
    return [name for name in reversed(STACKS) if name not in (*DOORS, *WITH_DATA)]


def stack(name: str) -> Kind:
    return Kind("stack", lambda: [name] if _status(name) else [], _delete)


def interfaces() -> Kind:
    return Kind("network interface", lambda: [*_interfaces()], _delete_interface)


def _status(name: str) -> str:
    """Empty if it is not there."""
    found = lookups.find("cloudformation", "describe_stacks", absent="ValidationError", StackName=name)
    status = found["Stacks"][0]["StackStatus"] if found else ""
    return "" if status == "DELETE_COMPLETE" else status


def _delete(name: str) -> None:
    status = _status(name)
    if status in ("", "DELETE_IN_PROGRESS"):
        return
    if status.endswith("_IN_PROGRESS") and not status.startswith("REVIEW"):
        return  # a deployment is on its way; it can be deleted when that is over
    try:
        lookups.ask("cloudformation", "delete_stack", StackName=name)
    except lookups.Refused as error:
        if "TerminationProtection" not in str(error):
            raise
        raise DeploymentError(
            f"The stack {name} is protected. To let it go: aws cloudformation update-termination-protection "
            f"--no-enable-termination-protection --stack-name {name}"
        ) from error


def _interfaces() -> dict[str, str]:
    """Id and status of those that Lambda made for the sandbox."""
    wanted = [{"Name": "description", "Values": ["AWS Lambda VPC ENI-OutcropSandbox*"]}]
    found = lookups.every("ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=wanted)
    return {one["NetworkInterfaceId"]: one["Status"] for one in found}


def _delete_interface(id: str) -> None:
    """One in use is Lambda's to let go."""
    if _interfaces().get(id) == "available":
        lookups.ask("ec2", "delete_network_interface", NetworkInterfaceId=id)
