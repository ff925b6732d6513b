from __future__ import annotations

import weakref
from collections import OrderedDict, defaultdict
from typing import ClassVar

from ethosu.vela.data_type import DataType
from ethosu.vela.nn_graph import Subgraph
from ethosu.vela.operation import Op, Operation
from ethosu.vela.tensor import Tensor

from npu_tune.targets.ethos_u.compiler.snapshot import Snapshot
from npu_tune.targets.garbage import no_collection


def test_attributes_containers_and_what_they_reach_come_back():
    outer, inner = Subgraph("outer"), Subgraph("inner")
    outer.nested = {"list": [1, [inner]], "map": OrderedDict(a=1), "default": defaultdict(dict)}
    inner.marks = {1, 2}
    snapshot = Snapshot(outer)
    inner.marks.add(3)
    inner.name = "changed"
    outer.nested["list"][1].append(None)
    outer.nested["default"]["x"]["y"] = 1
    outer.later = True
    snapshot.restore()
    assert outer.nested == {"list": [1, [inner]], "map": OrderedDict(a=1), "default": {}}
    assert (inner.name, inner.marks) == ("inner", {1, 2})
    assert not hasattr(outer, "later")


def test_a_snapshot_can_be_restored_more_than_once():
    thing = Subgraph("thing")
    thing.items = [[1]]
    snapshot = Snapshot(thing)
    for _ in range(2):
        thing.items[0].append(2)
        snapshot.restore()
        assert thing.items == [[1]]


def test_class_attributes_come_back():
    class Table:
        rows: ClassVar[list[int]] = []

    snapshot = Snapshot(Table)
    Table.rows.append(1)
    snapshot.restore()
    assert Table.rows == []


def test_what_a_cleared_snapshot_recorded_is_freed_without_the_collector():
    outer, inner = Subgraph("outer"), Subgraph("inner")
    outer.inner, inner.outer = inner, outer
    gone = [weakref.ref(outer), weakref.ref(inner)]
    snapshot = Snapshot(outer)
    with no_collection():
        del outer, inner
        snapshot.clear()
        assert [each() for each in gone] == [None, None]


def test_a_cleared_snapshot_empties_lists_in_slots_too():
    op, tensor = Operation(Op.Relu, "relu"), Tensor([1, 4], DataType.int8, "x")
    op.add_input_tensor(tensor)
    Snapshot(op).clear()
    assert (op.inputs, tensor.consumer_list) == (None, None)
