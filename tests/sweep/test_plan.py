"""What a sweep comes to, and what it refuses."""

import pytest

from sdq_fpga.errors import UserError
from sdq_fpga.sweep.plan import plan
from sdq_fpga.sweep.spec import SweepSpec

STATED = {
    "boards": ["pynq-z2", "zcu104"],
    "seeds": [0, 7],
    "targets": [{"bits": 3}, {"fps": 1e5, "budget": "lut=50%"}],
    "stage": "finetune",
}


def spec(**changes):
    return SweepSpec.from_data(STATED | changes, "sweep.yaml")


def test_every_combination_is_a_task_of_its_own():
    tasks = plan(spec())
    assert len({task.name for task in tasks}) == len(tasks) == 8
    assert len({task.row.key for task in tasks}) == 8
    combinations = {
        (task.settings.board.name, task.settings.seed, task.settings.target_bits) for task in tasks
    }
    assert len(combinations) == 8
    budgets = {(task.settings.target_fps, tuple(task.settings.shares.items())) for task in tasks}
    assert budgets == {(None, ()), (1e5, (("lut", 0.5),))}


def test_it_is_called_what_the_user_knows_it_as():
    with pytest.raises(UserError, match=r"^sweep\.yaml is not a valid sweep \(stages: "):
        spec(stages=["finetune"])


def test_a_seed_is_trained_once_for_all_boards_and_targets():
    tasks = plan(spec())
    assert {(task.training, task.settings.seed) for task in tasks} == {
        (tasks[0].training, 0),
        (tasks[-1].training, 7),
    }


def test_a_task_keeps_its_name_in_a_larger_sweep():
    few, more = plan(spec(boards=["zcu104"], seeds=[0])), plan(spec())
    assert {task.name for task in few} < {task.name for task in more}
    assert {task.row.key for task in few} < {task.row.key for task in more}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"boards": []}, "boards"),
        ({"boards": ["zcu14"]}, "zcu14"),
        ({"boards": ["zcu104", "zcu104"]}, "boards has something twice"),
        ({"flows": ["digit-cnn"]}, "digit-cnn"),
        ({"flows": ["mnist-mlp"]}, "--data"),
        ({"seeds": [-1]}, "seeds"),
        ({"targets": []}, "targets"),
        ({"targets": [{}]}, "a target gives bits, fps or latency_us"),
        ({"targets": [{"bits": 2, "budget": "lut=200%"}]}, "lut=200%"),
        ({"targets": [{"bits": 7.9}, {"bits": 2.0}], "clock_mhz": 900}, "900 MHz"),
        ({"methods": ["no such method"]}, "no such method"),
        ({"stage": "train"}, "stage"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_can_not_be_is_named(changes, word):
    with pytest.raises(UserError, match=word):
        plan(spec(**changes))
