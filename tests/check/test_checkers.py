"""The checkers' own tests: for every anomaly a history, written by hand, that must be detected,
and good histories that must pass. The last line is "N passed, N failed"."""
import sys
import unittest

import check_batch
import check_cond
import check_derived
import check_honest
import check_log
import check_reader
import check_repeat
from checkers import check_world
from story import Story
from test_kafka import Kafka  # noqa: F401 (run with the others)
from test_search import Search  # noqa: F401 (run with the others)

TB_DELETED = '{"$tb":9223372036854775807}'


class Checks(unittest.TestCase):
    def found(self, checker, story, guarantee, anomaly):
        findings = checker.check(story.world())
        self.assertIn((guarantee, anomaly), [(f.guarantee, f.anomaly) for f in findings])

    def clean(self, story):
        self.assertEqual(check_world(story.world()), [])


def good():
    """Some of everything, as it should be."""
    story = Story().log("s", "a", "b").log("r", "c").log("s", "d")
    story.append((0, 10), "s", ["a", "b"], 0, 1, "none")
    story.append((11, 20), "r", ["c"], 0, 2)
    story.append((21, 30), "s", ["d"], 2, 3, 1)
    story.append((31, 40), "s", ["d"], 2, 3, 1, repeated=True)
    story.conflict((31, 40), "s", ["x"], 1, 2)
    story.append((31, None), "s", ["y"])
    story.read((41, 50), "s", ["a", "b", "d"], 2)
    story.read((41, 50), "s", ["d", "b"], 2, backward=True, limit=2)
    story.read((41, 50), "nothing", [], None, status=404)
    story.read_all((41, 50), ["a", "b", "c", "d"])
    story.read_all((41, 50), ["d", "c"], backward=True, limit=2)
    story.subscribe(41, ["a", "b", "c", "d"], 4, sub="one", until_end=True)
    return story.subscribe(41, ["b", "d"], 2, sub="two", stream="s", **{"from": 1})


class Good(Checks):
    def test_good_history_passes(self):
        self.clean(good())

    def test_unknown_append_may_be_there_or_not(self):
        story = Story().log("s", "a").append((0, None), "s", ["a"])
        self.clean(story.append((0, None), "s", ["b"]))

    def test_delete_reopen_and_truncate_pass(self):
        story = Story().log("s", "a", "b").log("$$s", "m0", data=TB_DELETED).log("s", "c", "d")
        story.log("$$s", "m1", data='{"$tb":3}')
        story.append((0, 10), "s", ["a", "b"], 0, 1)
        story.add("delete", (11, 20), answer={"position": 2}, stream="s", expected=1)
        story.read((21, 30), "s", [], None, status=404)
        story.conflict((21, 30), "s", ["x"], "exists", 1, "deleted")
        story.append((31, 40), "s", ["c"], 2, 3, "none")
        story.append((41, 50), "s", ["d"], 3, 4, "exists")
        story.read((51, 60), "s", ["c", "d"], 3)
        story.add("put_metadata", (61, 70), answer={"position": 5, "version": 1}, stream="s")
        self.clean(story.read((71, 80), "s", ["d"], 3))

    def test_refusal_of_a_state_passed_during_the_call(self):
        story = Story().log("s", "a", "b")
        story.append((0, 50), "s", ["a"], 0, 0).append((0, 100), "s", ["b"], 1, 1)
        self.clean(story.conflict((0, 100), "s", ["x"], 7, 0))

    def test_failed_query_condition_that_is_right(self):
        story = Story().log("s", "a", tags=("k",)).append((0, 10), "s", ["a"], 0, 0)
        story.append((11, 20), "r", ["x"], result="fail", queries=[{"tags": ["k"]}], answer=dict(
            status=412, problem="query-condition-failed", matching_position=0))
        self.clean(story)


class CheckLog(Checks):
    def test_lost(self):
        self.found(check_log, Story().append((0, 1), "s", ["a"], 0, 0), "G1", "lost")

    def test_lost_delete(self):
        story = Story().log("s", "a").add("delete", (0, 1), answer={"position": 7}, stream="s")
        self.found(check_log, story, "G1", "lost")

    def test_moved(self):
        story = Story().log("s", "x", "a").append((0, 1), "s", ["a"], 0, 0)
        self.found(check_log, story, "G1", "moved")

    def test_changed(self):
        story = Story().log("s", "a").append((0, 1), "s", ["a"], 0, 0, digest="other-")
        self.found(check_log, story, "G1", "changed")

    def test_changed_although_unacknowledged(self):
        story = Story().log("s", "a").append((0, None), "s", ["a"], digest="other-")
        self.found(check_log, story, "G1", "changed")

    def test_vanished(self):
        story = Story().append((0, None), "s", ["a"]).read_all((1, 2), ["a"])
        self.found(check_log, story, "G1", "vanished")

    def test_vanished_from_a_subscription(self):
        story = Story().append((0, None), "s", ["a"]).subscribe(1, ["a"], sub="one")
        self.found(check_log, story, "G1", "vanished")

    def test_shown_with_other_bytes(self):
        story = Story().log("s", "a").append((0, None), "s", ["a"]).read_all((1, 2), ["a"])
        story.history.ops[1].answer["events"][0][4] = "other"
        self.found(check_log, story, "G1", "changed")

    def test_position_that_never_was(self):
        story = Story().log("s", "a").append((0, 1), "s", [], 1, 5)
        self.found(check_log, story, "G1", "position-never-was")

    def test_wrong_count(self):
        story = Story().log("s", "a", "b").append((0, 1), "s", ["a", "b"], 0, 1)
        story.history.ops[0].answer["results"] = [[0, 0]]
        self.found(check_log, story, "G1", "wrong-count")

    def test_invented(self):
        self.found(check_log, Story().log("s", "a"), "G5", "invented")

    def test_invented_delete(self):
        self.found(check_log, Story().log("$$s", "m", data=TB_DELETED), "G5", "invented")

    def test_refused_present(self):
        story = Story().log("s", "a").conflict((0, 1), "s", ["a"], 4, 0)
        self.found(check_log, story, "G5", "refused-present")

    def test_duplicated(self):
        story = Story().log("s", "a", "a").append((0, None), "s", ["a"])
        self.found(check_log, story, "G5", "duplicated")

    def test_version_gap(self):
        story = Story().log("s", "a").log("s", "b", version=2).append((0, 1), "s", ["a"], 0, 0)
        self.found(check_log, story, "G4", "version-gap")

    def test_version_again(self):
        story = Story().log("s", "a").log("s", "b", version=0)
        self.found(check_log, story, "G4", "version-again")

    def test_position_order(self):
        story = Story().log("s", "a", "b")
        story.events[1] = story.events[1]._replace(position=0)
        self.found(check_log, story, "G4", "position-order")

    def test_wrong_position(self):
        story = Story().log("s", "a", "b").append((0, 1), "s", ["a"], 0, 1)
        self.found(check_log, story, "G4", "wrong-position")

    def test_reordered_against_real_time(self):
        story = Story().log("s", "b").log("r", "a")
        story.append((0, 10), "r", ["a"], 0, 1).append((20, 30), "s", ["b"], 0, 0)
        self.found(check_log, story, "G4", "reordered")

    def test_reordered_within_an_append(self):
        story = Story().log("s", "b", "a").append((0, 10), "s", ["a", "b"], 0, 1)
        self.found(check_log, story, "G4", "reordered")


class CheckCond(Checks):
    def test_exact_version_ignored(self):
        story = Story().log("s", "a", "b").append((0, 1), "s", ["a"], 0, 0)
        self.found(check_cond, story.append((2, 3), "s", ["b"], 1, 1, 7), "G3", "condition-ignored")

    def test_none_ignored(self):
        story = Story().log("s", "a", "b").append((0, 1), "s", ["a"], 0, 0)
        self.found(check_cond, story.append((2, 3), "s", ["b"], 1, 1, "none"), "G3",
                   "condition-ignored")

    def test_exists_ignored(self):
        story = Story().log("s", "a").append((0, 1), "s", ["a"], 0, 0, "exists")
        self.found(check_cond, story, "G3", "condition-ignored")

    def test_condition_ignored_by_an_append_of_unknown_outcome(self):
        story = Story().log("s", "a").append((0, None), "s", ["a"], expected=3)
        self.found(check_cond, story, "G3", "condition-ignored")

    def test_tombstone_ignored(self):
        story = Story().log("s", "x", type="$streamDeleted").log("s", "a")
        self.found(check_cond, story.append((0, 1), "s", ["a"], 1, 1), "G3", "condition-ignored")

    def test_check_without_events_ignored(self):
        story = Story().log("s", "a").append((0, 1), "s", ["a"], 0, 0)
        self.found(check_cond, story.append((2, 3), "s", [], 4, 0, 3), "G3", "condition-ignored")

    def test_delete_condition_ignored(self):
        story = Story().log("s", "a").log("$$s", "m", data=TB_DELETED)
        story.add("delete", (0, 1), answer={"position": 1}, stream="s", expected=5)
        self.found(check_cond, story, "G3", "condition-ignored")

    def test_metadata_condition_ignored(self):
        story = Story().log("$$s", "m", data="{}")
        story.add("put_metadata", (0, 1), answer={"position": 0}, stream="s", expected=5)
        self.found(check_cond, story, "G3", "condition-ignored")

    def test_wrong_version(self):
        story = Story().log("s", "a").append((0, 1), "s", ["a"], 3, 0)
        self.found(check_cond, story, "G3", "wrong-version")

    def test_query_ignored(self):
        story = Story().log("s", "a", tags=("k",)).log("r", "b").append((0, 9), "s", ["a"], 0, 0)
        story.append((0, 9), "r", ["b"], 0, 1, queries=[{"tags": ["k"], "after": None}])
        self.found(check_cond, story, "G3", "query-ignored")

    def test_query_refused_for_another_event(self):
        story = Story().log("s", "a").append((0, 10), "s", ["a"], 0, 0)
        story.append((11, 20), "r", ["x"], result="fail", queries=[{"tags": ["k"]}], answer=dict(
            status=412, problem="query-condition-failed", matching_position=0))
        self.found(check_cond, story, "G3", "refusal-unfounded")

    def test_refusal_with_a_version_that_never_was(self):
        story = Story().log("s", "a").append((0, 1), "s", ["a"], 0, 0)
        self.found(check_cond, story.conflict((2, 3), "s", ["x"], 3, 5), "G3", "refusal-invented")

    def test_refusal_with_a_version_of_the_past(self):
        story = Story().log("s", "a", "b")
        story.append((0, 1), "s", ["a"], 0, 0).append((2, 3), "s", ["b"], 1, 1)
        self.found(check_cond, story.conflict((4, 5), "s", ["x"], 3, 0), "G3", "refusal-invented")

    def test_refusal_with_a_version_of_the_future(self):
        story = Story().log("s", "a", "b")
        story.append((0, 1), "s", ["a"], 0, 0).conflict((2, 3), "s", ["x"], 3, 1)
        self.found(check_cond, story.append((4, 5), "s", ["b"], 1, 1), "G3", "refusal-invented")

    def test_refusal_of_a_delete_that_never_was(self):
        story = Story().log("s", "a").append((0, 1), "s", ["a"], 0, 0)
        self.found(check_cond, story.conflict((2, 3), "s", ["x"], "exists", 0, "deleted"), "G3",
                   "refusal-invented")

    def test_refusal_although_the_condition_held(self):
        story = Story().log("s", "a").append((0, 1), "s", ["a"], 0, 0)
        self.found(check_cond, story.conflict((2, 3), "s", ["x"], 0, 0), "G3", "refusal-unfounded")

    def read_story(self):
        return Story().log("s", "a", "b", "c").append((0, 1), "s", ["a", "b", "c"], 0, 2)

    def test_read_with_a_gap(self):
        self.found(check_cond, self.read_story().read((2, 3), "s", ["a", "c"], 2), "G3", "read-gap")

    def test_read_that_stops_early(self):
        self.found(check_cond, self.read_story().read((2, 3), "s", ["a", "b"], 2), "G3",
                   "read-short")

    def test_read_that_begins_elsewhere(self):
        self.found(check_cond, self.read_story().read((2, 3), "s", ["b", "c"], 2), "G3",
                   "read-shifted")

    def test_read_of_changed_events(self):
        story = self.read_story().read((2, 3), "s", ["a", "b", "c"], 2)
        story.history.ops[1].answer["events"][1][4] = "other"
        self.found(check_cond, story, "G3", "read-changed")

    def test_stale_read(self):
        story = self.read_story().log("s", "d").append((2, 3), "s", ["d"], 3, 3)
        self.found(check_cond, story.read((4, 5), "s", ["a", "b", "c"], 2), "G3", "head-never-was")

    def test_stale_read_of_nothing(self):
        self.found(check_cond, self.read_story().read((2, 3), "s", [], None, status=404), "G3",
                   "read-never-was")

    def test_truncated_events_read(self):
        story = self.read_story().log("$$s", "m", data='{"$tb":2}')
        story.add("put_metadata", (2, 3), answer={"position": 3, "version": 0}, stream="s")
        self.found(check_cond, story.read((4, 5), "s", ["a", "b", "c"], 2), "G3", "read-shifted")

    def test_read_all_with_a_gap(self):
        self.found(check_cond, self.read_story().read_all((2, 3), ["a", "c"]), "G3", "read-gap")

    def test_read_all_stale(self):
        self.found(check_cond, self.read_story().read_all((2, 3), ["a", "b"]), "G3", "read-stale")

    def test_read_all_with_what_the_filter_excludes(self):
        story = self.read_story().read_all((2, 3), ["a"], filter={"types": ["other"]})
        self.found(check_cond, story, "G3", "read-extra")

    def test_read_all_out_of_order(self):
        self.found(check_cond, self.read_story().read_all((2, 3), ["b", "a", "c"]), "G3",
                   "read-order")

    def test_read_all_of_what_was_not_asked_for_yet(self):
        story = Story().log("s", "a").read_all((0, 1), ["a"]).append((2, 3), "s", ["a"], 0, 0)
        self.found(check_cond, story, "G3", "read-early")


class CheckBatch(Checks):
    def test_torn(self):
        self.found(check_batch, Story().log("s", "a").append((0, None), "s", ["a", "b"]), "G2",
                   "torn")

    def test_torn_over_streams(self):
        story = Story().log("s", "a")
        story.add("multi", (0, None), parts=[
            {"stream": s, "expected": "any", "events": [[i, "d-" + i, "t", []]]}
            for s, i in (("s", "a"), ("r", "b"))])
        self.found(check_batch, story, "G2", "torn")

    def test_scattered(self):
        story = Story().log("s", "a").log("r", "x").log("s", "b")
        self.found(check_batch, story.append((0, 1), "s", ["a", "b"], 0, 2), "G2", "scattered")

    def test_head_within_an_append(self):
        story = Story().log("s", "a", "b").append((0, 9), "s", ["a", "b"], 0, 1)
        self.found(check_batch, story.read((1, 2), "s", ["a"], 0), "G2", "partly-visible")

    def test_refusal_names_a_version_within_an_append(self):
        story = Story().log("s", "a", "b").append((0, 9), "s", ["a", "b"], 0, 1)
        self.found(check_batch, story.conflict((0, 9), "s", ["x"], 7, 0), "G2", "partly-visible")

    def test_end_of_everything_within_an_append(self):
        story = Story().log("s", "a", "b").append((0, 9), "s", ["a", "b"], 0, 1)
        self.found(check_batch, story.read_all((1, 2), ["a"]), "G2", "partly-visible")

    def test_caught_up_within_an_append(self):
        story = Story().log("s", "a", "b").append((0, 9), "s", ["a", "b"], 0, 1)
        story.subscribe(1, ["a", "b"], 1, sub="one")
        self.found(check_batch, story, "G2", "partly-visible")

    def test_caught_up_within_an_append_that_was_deleted_meanwhile_passes(self):
        story = Story().log("s", "a", "b").log("$$s", "m", data=TB_DELETED)
        story.append((0, 9), "s", ["a", "b"], 0, 1)
        story.add("delete", (10, 12), answer={"position": 2}, stream="s", expected="any")
        self.clean(story.subscribe(12, ["a"], 1, sub="one", stream="s"))

    def test_caught_up_within_an_append_that_was_deleted_later(self):
        story = Story().log("s", "a", "b").log("$$s", "m", data=TB_DELETED)
        story.append((0, 9), "s", ["a", "b"], 0, 1).subscribe(1, ["a"], 1, sub="one", stream="s")
        story.add("delete", (10, 12), answer={"position": 2}, stream="s", expected="any")
        self.found(check_batch, story, "G2", "partly-visible")

    def test_one_stream_shows_its_part_and_another_does_not(self):
        story = Story().log("r", "z").log("s", "a").log("r", "b").append((0, 1), "r", ["z"], 0, 0)
        story.add("multi", (2, 90), answer={"results": [[0, 0], [1, 1]], "position": 2}, parts=[
            {"stream": s, "expected": "any", "events": [[i, "d-" + i, "t", []]]}
            for s, i in (("s", "a"), ("r", "b"))])
        story.read((10, 20), "s", ["a"], 0).read((30, 40), "r", ["z"], 0)
        self.found(check_batch, story, "G2", "partly-visible")


class CheckRepeat(Checks):
    def test_added_again(self):
        story = Story().log("s", "a", "a").append((0, 1), "s", ["a"], 0, 0)
        self.found(check_repeat, story.append((2, 3), "s", ["a"], 1, 1), "G6", "added-again")

    def test_other_answer(self):
        story = Story().log("s", "a", "b").append((0, 1), "s", ["a"], 0, 0)
        self.found(check_repeat, story.append((2, 3), "s", ["a"], 1, 1, repeated=True), "G6",
                   "other-answer")

    def test_not_recognised(self):
        story = Story().log("s", "a").append((0, 1), "s", ["a"], 0, 0, "none")
        self.found(check_repeat, story.conflict((2, 3), "s", ["a"], "none", 0), "G6",
                   "not-recognised")

    def test_reopening_not_recognised_after_metadata(self):
        story = Story().log("s", "a").log("$$s", "m0", data=TB_DELETED).log("s", "b")
        story.log("$$s", "m1", data="{}").append((0, 1), "s", ["a"], 0, 0)
        story.add("delete", (2, 3), answer={"position": 1}, stream="s", expected="any")
        story.append((4, 5), "s", ["b"], 1, 2, "none")
        story.add("put_metadata", (6, 7), answer={"position": 3, "version": 1}, stream="s")
        self.found(check_repeat, story.conflict((8, 9), "s", ["b"], "none", 1), "G6",
                   "not-recognised")

    def test_refused_after_a_delete_passes(self):
        story = Story().log("s", "a").log("$$s", "m", data=TB_DELETED)
        story.append((0, 1), "s", ["a"], 0, 0)
        story.add("delete", (2, 3), answer={"position": 1}, stream="s", expected="any")
        self.clean(story.conflict((4, 5), "s", ["a"], "exists", 0, "deleted"))

    def test_repeats_nothing(self):
        story = Story().append((0, None), "s", ["a"])
        self.found(check_repeat, story.append((2, 3), "s", ["a"], 0, 0, repeated=True), "G6",
                   "repeats-nothing")

    def test_conflict_of_ids_that_are_new(self):
        story = Story().append((0, 1), "s", ["a"], result="fail", answer=dict(
            status=409, problem="event-id-conflict"))
        self.found(check_repeat, story, "G6", "conflict-unfounded")

    def test_other_data_accepted(self):
        story = Story().log("s", "a").append((0, 1), "s", ["a"], 0, 0)
        story.append((2, 3), "s", ["a"], 0, 0, repeated=True, digest="other-")
        self.found(check_repeat, story, "G6", "other-data-accepted")


class CheckReader(Checks):
    def story(self):
        return Story().log("s", "a", "b", "c").append((0, 1), "s", ["a", "b", "c"], 0, 2)

    def test_gap(self):
        self.found(check_reader, self.story().subscribe(2, ["a", "c"], sub="one"), "G7", "gap")

    def test_gap_between_connections(self):
        story = self.story().subscribe(2, ["a"], sub="one").subscribe(9, ["c"], sub="one")
        self.found(check_reader, story, "G7", "gap")

    def test_gap_at_the_beginning(self):
        self.found(check_reader, self.story().subscribe(2, ["b", "c"], sub="one"), "G7", "gap")

    def test_gap_in_long_polls(self):
        story = self.story().read_all((2, 3), ["a"], more=True, sub="poll")
        story.read_all((4, 5), ["c"], sub="poll", **{"from": 2})
        self.found(check_reader, story, "G7", "gap")

    def test_gap_in_a_stream(self):
        story = self.story().subscribe(2, ["a", "c"], sub="one", stream="s")
        self.found(check_reader, story, "G7", "gap")

    def test_again(self):
        story = self.story().subscribe(2, ["a"], sub="one").subscribe(9, ["a", "b"], sub="one")
        self.found(check_reader, story, "G7", "again")

    def test_backward(self):
        self.found(check_reader, self.story().subscribe(2, ["b", "a"], sub="one"), "G7", "backward")

    def test_foreign(self):
        story = self.story().subscribe(2, ["a"], sub="one", filter={"types": ["other"]})
        self.found(check_reader, story, "G7", "foreign")

    def test_stuck(self):
        story = self.story().subscribe(2, ["a", "b"], sub="one", until_end=True)
        self.found(check_reader, story, "G7", "stuck")


class CheckDerived(Checks):
    def anomalies(self, findings):
        return [finding.anomaly for finding in findings]

    def test_same_answers_pass(self):
        self.assertEqual(check_derived.check({"q": 1}, {"q": 1}), [])

    def test_answer_differs(self):
        self.assertEqual(self.anomalies(check_derived.check({"q": [1, 2]}, {"q": [1]})),
                         ["answer-differs"])

    def test_answer_missing(self):
        self.assertEqual(self.anomalies(check_derived.check({"q": 1}, {})), ["answer-missing"])

    def test_answer_new(self):
        self.assertEqual(self.anomalies(check_derived.check({}, {"q": 1})), ["answer-new"])

    def test_stream_is_not_the_log(self):
        log = Story().log("s", "a", "b").world().log
        right = {"s": [(0, 0, "a"), (1, 1, "b")], "r": "none"}
        self.assertEqual(check_derived.check_streams(log, right), [])
        for wrong in ({"s": [(0, 0, "a")]}, {"s": "none"}, {"r": [(0, 0, "a")]},
                      {"s": [(0, 0, "a"), (1, 1, "x")]}):
            self.assertEqual(self.anomalies(check_derived.check_streams(log, wrong)),
                             ["not-the-log"])

    def test_query_is_not_the_log(self):
        log = Story().log("s", "a", tags=("k",)).log("s", "b").world().log
        self.assertEqual(check_derived.check_queries(log, [({"tags": ["k"]}, [0])]), [])
        for positions in ([], [0, 1], [1]):
            self.assertEqual(self.anomalies(check_derived.check_queries(
                log, [({"tags": ["k"]}, positions)])), ["not-the-log"])


class CheckHonest(Checks):
    def trial(self, **changes):
        trial = {"fault": "a bit", "must": ["refuse"], "exit": 1, "said": "000.log at byte 4096",
                 "names": ["000.log", "4096"], "before": {"000.log": "d"},
                 "after": {"000.log": "d"}}
        trial.update(changes)
        return [finding.anomaly for finding in check_honest.check(trial)]

    def test_refusal_passes(self):
        self.assertEqual(self.trial(), [])

    def test_right_answers_pass(self):
        self.assertEqual(self.trial(must=["serve"], exit=None, served=True), [])

    def test_full_disk_that_resumes_passes(self):
        self.assertEqual(self.trial(must=["507"], exit=None, served=True, refused=[507],
                                    resumed=True), [])

    def test_file_set_aside_passes(self):
        self.assertEqual(self.trial(after={"000.log.torn-1": "d"}), [])

    def test_deleted(self):
        self.assertEqual(self.trial(after={}), ["deleted"])

    def test_wrong_answer(self):
        self.assertIn("wrong-answer", self.trial(must=["serve"], exit=None, served=True,
                                                 wrong=["a"]))

    def test_silent_loss(self):
        self.assertEqual(self.trial(must=["serve"], exit=None, served=True, missing=["a"]),
                         ["silent-loss"])

    def test_crash(self):
        self.assertIn("crashed", self.trial(exit=-11))

    def test_exit_that_claims_success(self):
        self.assertEqual(self.trial(must=["stop"], exit=0, served_before=True), ["not-honest"])

    def test_serves_although_it_must_refuse(self):
        self.assertEqual(self.trial(exit=None, served=True), ["not-honest"])

    def test_hangs(self):
        self.assertEqual(self.trial(must=["stop"], exit=None), ["not-honest"])

    def test_acknowledged_after_failure(self):
        self.assertEqual(self.trial(must=["stop"], served_before=True, accepted=1),
                         ["acknowledged-after-failure"])

    def test_unclear(self):
        self.assertEqual(self.trial(said="sorry"), ["unclear", "unclear"])
        self.assertIn("unclear", self.trial(said="", names=[]))

    def test_not_resumed(self):
        self.assertEqual(self.trial(must=["507"], exit=None, served=True, refused=[507],
                                    resumed=False), ["not-resumed"])


def main():
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(
        unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"]))
    failed = len(result.failures) + len(result.errors)
    print("%d passed, %d failed" % (result.testsRun - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
