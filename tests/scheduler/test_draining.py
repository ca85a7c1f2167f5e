"""The end: everything that is not running comes back, once."""

from tests.scheduler.harness import MS, SIZES, Desk, asked
from trtasync.scheduler import Queue


def test_drain_takes_out_what_is_not_running() -> None:
    queue, other = Queue(), Queue()
    desk = Desk(max_batch_size=4, homes=(None, None))
    desk.teach(queue, *SIZES)
    running = desk.submit(queue, 4)
    (batch,) = desk.launch()
    forming = desk.submit(other)
    withdrawn = desk.submit(other)
    desk.withdraw(withdrawn)
    split = desk.submit(other, 5)
    waiting = desk.submit(queue)
    expired = asked(queue, deadline=0.0)
    desk.policy.expire(expired, desk.now)
    drained = desk.policy.drain()
    assert sorted(map(id, drained)) == sorted(map(id, [forming, split, waiting, expired]))
    assert (desk.policy.queued, desk.policy.in_flight, desk.policy.unanswered()) == (0, 4, 1)
    assert desk.policy.drain() == []
    assert desk.launch(at=1.0) == []
    for request in drained:
        desk.withdraw(request)  # as the engine does when it fails them
    desk.finish(batch)
    assert desk.answered == [running]
    assert (desk.policy.queued, desk.policy.in_flight, desk.policy.unanswered()) == (0, 0, 0)


def test_drain_takes_the_rest_of_a_request_that_runs_in_part() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=4, homes=(None,))
    big = desk.submit(queue, 6)
    (batch,) = desk.launch()
    assert desk.policy.drain() == [big]
    assert desk.policy.unanswered() == 0
    desk.finish(batch, 1 * MS)
    assert desk.answered == []
    assert desk.policy.unanswered() == 0
