"""The fast checkers against the search; test_checkers.py runs this with the rest."""
import random
import unittest

import check_batch
import check_cond
import check_log
import search
from story import Story


class Search(unittest.TestCase):
    """The fast checkers and the search agree on thousands of tiny histories, most of them
    spoilt."""

    def make(self, rng):
        """Runs a model with operations that overlap; each takes effect at some time within."""
        story, streams, ids = Story(), ("s", "r"), 0
        plans = []
        for _ in range(rng.randint(1, 5)):
            begin = rng.randint(0, 12)
            effect = begin + rng.random()
            plans.append((effect, begin, rng.randint(int(effect) + 1, 16)))
        for _, begin, end in sorted(plans):
            stream = rng.choice(streams)
            head = sum(1 for event in story.events if event.stream == stream) - 1
            if rng.random() < 0.35:
                shown = [event.id for event in story.events if event.stream == stream]
                story.read((begin, end), stream, shown, head, status=200 if shown else 404)
                continue
            wanted = ["e%d" % (ids + i) for i in range(rng.randint(1, 2))]
            ids += len(wanted)
            expected = rng.choice(["any", "none", "exists", head, head, rng.randint(0, 2)])
            expected = "none" if expected == -1 else expected
            unknown = rng.random() < 0.2
            if not search.allowed(expected, head):
                if not unknown:
                    story.conflict((begin, end), stream, wanted, expected, head if head >= 0 else
                                   None, "live" if head >= 0 else "none")
                else:
                    story.append((begin, None), stream, wanted, expected=expected)
            elif unknown:
                if rng.random() < 0.5:
                    story.log(stream, *wanted)
                story.append((begin, None), stream, wanted, expected=expected)
            else:
                story.log(stream, *wanted)
                position = len(story.events) - 1
                story.append((begin, end), stream, wanted, head + 1, position, expected)
        return story

    def spoil(self, rng, story):
        """One small lie, somewhere."""
        op = rng.choice(story.history.ops)
        choice = rng.randrange(6)
        if choice == 0 and op.result == "ok" and op.appends:
            change = rng.choice((-1, 1))
            op.answer["results"] = [[v + change for v in op.answer["results"][0]]]
        elif choice == 1 and op.result == "fail" and op.appends and op.answer["actual"] is not None:
            op.answer["actual"] = abs(op.answer["actual"] + rng.choice((-1, 1)))
        elif choice == 2:
            shift = rng.randint(-8, 8)
            op.t_invoke += shift
            op.t_complete += shift
        elif choice == 3 and op.kind == "read_stream" and op.answer["events"]:
            op.answer["events"].pop()
            op.answer["head"] -= 1
            if not op.answer["events"]:
                op.answer["status"], op.result = 404, "fail"
        elif choice == 4 and op.appends:
            op.args["parts"][0]["expected"] = rng.choice(["none", "exists", 0, 1])
        elif story.events:
            story.events.pop()

    def verdicts(self, story):
        events = [event for event in story.events if event]
        findings = check_log.check(story.world()) + check_cond.check(story.world()) + \
            check_batch.check(story.world())
        slow = search.linearizable(story.history.ops, [(e.stream, e.id) for e in events])
        return findings, slow

    def agree(self, seeds, spoilt):
        good_count = bad_count = 0
        for seed in seeds:
            rng = random.Random(seed)
            story = self.make(rng)
            if spoilt:
                self.spoil(rng, story)
            findings, slow = self.verdicts(story)
            self.assertEqual(not findings, slow, "seed %d: %s" % (seed, findings))
            good_count, bad_count = good_count + slow, bad_count + (not slow)
        return good_count, bad_count

    def test_agree_on_good_histories(self):
        self.assertEqual(self.agree(range(500), False), (500, 0))

    def test_agree_on_spoilt_histories(self):
        good_count, bad_count = self.agree(range(3000), True)
        self.assertGreater(good_count, 500)
        self.assertGreater(bad_count, 500)
