"""A client of the Kafka face that notes what it does: one process, run by kafka_loop.py.

    kafka_worker.py ROLE --brokers HOST:PORT --who NAME --history FILE --seed N [...]

    topics      makes the topics
    produce     two idempotent producers and a transactional one into the topic `in`
    transform   consumes `in`, produces to `out` and `audit`, offsets in the transaction
    read        readers with both isolation levels; asks for committed offsets, too
    dump        reads everything back

It needs confluent_kafka; its history is described in tests/check/kafka_history.py. A line is
handed to the system before what it announces is done, and after what it reports was answered.
SIGTERM lets it finish what it is at.
"""
import argparse
import json
import os
import random
import signal
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, \
    TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

INPUTS, OUTPUTS, AUDITS = 4, 3, 2
TOPICS = {"in": INPUTS, "out": OUTPUTS, "audit": AUDITS}
GROUPS = ("assigned", "joined")
PATIENCE = 30  # seconds without an answer are trouble
END_SECONDS = 2  # without an input: the end
TRANSPORT = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE,
             KafkaError._TIMED_OUT)


class Ended(Exception):
    """This producer can't go on, or it shall not."""


def value_of(name):
    """The name and, to have different sizes, as many dots as it says."""
    return ("%s %s" % (name, "." * (sum(name.encode()) * 37 % 400))).encode()


def name_of(value):
    name = (value or b"").split(b" ")[0].decode("utf-8", "replace")
    return name if value == value_of(name) else "damaged " + repr(value[:80])


class Worker:
    def __init__(self, options):
        self.options, self.who = options, options.who
        self.rng = random.Random("%s/%d" % (options.who, options.seed))
        self.file = os.open(options.history, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.stopped = False
        signal.signal(signal.SIGTERM, self.stop)

    def stop(self, *_):
        self.stopped = True

    def note(self, e, **fields):
        fields.update(e=e, t=time.monotonic_ns())
        os.write(self.file, (json.dumps(fields) + "\n").encode())

    def trouble(self, what):
        self.note("trouble", who=self.who, what=str(what))

    def common(self, **more):
        return dict({"bootstrap.servers": self.options.brokers, "log_level": 0,
                     "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200}, **more)

    def consumer(self, group, isolation, **more):
        return Consumer(self.common(**dict({
            "group.id": group, "isolation.level": isolation, "enable.auto.commit": False,
            "auto.offset.reset": "error", "fetch.wait.max.ms": 100,
            "fetch.error.backoff.ms": 50}, **{key.replace("_", "."): value
                                             for key, value in more.items()})))

    def producer(self, error_cb, **more):
        return Producer(self.common(error_cb=error_cb, **dict({
            "enable.idempotence": True, "linger.ms": self.rng.choice((0, 2, 5)),
            "retry.backoff.ms": 50, "topic.metadata.refresh.interval.ms": 5000},
            **{key.replace("_", "."): value for key, value in more.items()})))


class Sender:
    """A producer with its acknowledgements."""

    def __init__(self, worker, who, **options):
        self.worker, self.who = worker, who
        self.acknowledged, self.lost = {}, 0
        if "transactional_id" in options:
            self.id = options["transactional_id"]
            worker.note("start", who=who, id=self.id)
        self.producer = worker.producer(lambda error: None, **options)

    def end_if_fatal(self, error):
        if error.fatal() or error.code() == KafkaError._FATAL:
            self.worker.note("fatal", who=self.who, error=str(error))
            raise Ended()

    def send(self, topic, partition, name):
        def report(error, message):
            if error is None:
                self.acknowledged.setdefault((topic, partition), []).append(
                    [name, message.offset()])
            else:
                self.lost += 1  # unknown

        while True:
            try:
                self.producer.produce(topic, value_of(name), partition=partition,
                                      on_delivery=report)
                return
            except BufferError:
                self.poll(0.05)
            except KafkaException as exception:
                self.end_if_fatal(exception.args[0])
                raise

    def poll(self, seconds=0):
        """Acknowledgements are noted; a fatal error is raised here."""
        try:
            self.producer.poll(seconds)
        except KafkaException as exception:
            self.end_if_fatal(exception.args[0])
            raise
        for (topic, partition), records in self.acknowledged.items():
            self.worker.note("sent", topic=topic, partition=partition, records=records)
        self.acknowledged = {}

    # ---- transactions ----

    def insist(self, call, *arguments):
        """Repeats what may be repeated. KafkaException: the transaction has to be aborted."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return call(*arguments)
            except KafkaException as exception:
                error = exception.args[0]
                self.end_if_fatal(error)
                if error.txn_requires_abort():
                    raise
                if not error.retriable() and error.code() not in TRANSPORT:
                    self.worker.trouble("%s: %s" % (call.__name__, error))
                    raise Ended()
                if time.monotonic() > until:
                    self.worker.trouble("%s: no answer for %d s" % (call.__name__, PATIENCE))
                    raise Ended()
            finally:
                self.poll()

    def init(self):
        self.insist(self.producer.init_transactions, 2)

    def transact(self, name, outputs, commit, offsets=None, pause=0):
        """Whether it was committed."""
        producer = self.producer
        producer.begin_transaction()
        try:
            for topic, partition, record in outputs:
                self.send(topic, partition, record)
            self.poll()
            if offsets:
                self.insist(producer.send_offsets_to_transaction, *offsets, 2)
            time.sleep(pause)
            if commit:
                self.insist(producer.flush, PATIENCE)
                self.worker.note("committing", txn=name)
                self.insist(producer.commit_transaction, 2)
                self.worker.note("committed", txn=name)
                return True
        except KafkaException:
            pass  # requires an abort
        self.worker.note("aborting", txn=name)
        try:
            self.insist(producer.abort_transaction, 2)
        except KafkaException as exception:
            self.worker.trouble("an abort that requires an abort: %s" % exception)
            raise Ended()
        self.worker.note("aborted", txn=name)
        return False


class Produce(Worker):
    def run(self):
        rng, plain = self.rng, []
        for number in range(2):
            plain.append(Sender(self, "%s-i%d" % (self.who, number), message_timeout_ms=60000))
        batches = Sender(self, self.who + "-b", transactional_id="batches",
                         transaction_timeout_ms=10000)
        batches.init()
        numbers, txns = [0, 0], 0
        while not self.stopped:
            for which, sender in enumerate(plain):
                partition, count = rng.randrange(INPUTS), rng.choice((1, 1, 3, 10))
                names = ["%s/%d" % (sender.who, numbers[which] + i) for i in range(count)]
                numbers[which] += count
                self.note("send", who=sender.who, topic="in", partition=partition, names=names)
                for name in names:
                    sender.send("in", partition, name)
                sender.poll()
            if rng.random() < 0.3:
                txns += 1
                name = "%s/%d" % (batches.who, txns)
                outputs = [("in", rng.randrange(INPUTS), "%s#%d" % (name, i))
                           for i in range(rng.randint(1, 12))]
                self.note("txn", txn=name, who=batches.who, outputs=outputs)
                batches.transact(name, outputs, rng.random() < 0.6,
                                 pause=rng.choice((0, 0, 0.02)))
            time.sleep(rng.choice((0.005, 0.03, 0.1)))
        for sender in plain:
            left = sender.producer.flush(PATIENCE)
            sender.poll()
            if left or sender.lost:
                self.trouble("%s: %d records were never acknowledged" % (
                    sender.who, left + sender.lost))


class Transform(Worker):
    def run(self):
        options = self.options
        self.group = "assigned" if options.join is None else "joined"
        self.pending, self.places, self.metadata = [], [], None
        # A member's transaction outlives its session: a ghost may still ask for its end.
        self.sender = Sender(self, self.who, transactional_id=options.id,
                             transaction_timeout_ms=10000 if options.join is None else 30000)
        more = {"group_instance_id": options.join} if options.join else {}
        self.reader = self.consumer(self.group, "read_committed", session_timeout_ms=6000,
                                    heartbeat_interval_ms=300, auto_offset_reset="earliest",
                                    **more)
        if options.join is not None:
            self.reader.subscribe(["in"], on_assign=self.given, on_revoke=self.taken)
            self.sender.init()
        else:
            self.sender.init()  # before it asks where to go on: the one before it is fenced now
            self.assign()
        self.work()
        self.reader.close()

    def assign(self):
        wanted = [TopicPartition("in", int(p)) for p in self.options.partitions.split(",")]
        until = time.monotonic() + PATIENCE
        while True:
            try:
                places = self.reader.committed(wanted, 2)
                if any(place.error for place in places):
                    raise KafkaException(next(place.error for place in places if place.error))
                break
            except KafkaException as exception:
                if time.monotonic() > until or self.stopped:
                    self.trouble("where to go on: %s" % exception)
                    raise Ended()
        for place in places:
            place.offset = max(place.offset, 0)
        self.reader.assign(places)
        self.places, self.metadata = places, self.reader.consumer_group_metadata()

    def given(self, reader, places):
        """Its generation is asked for here, so that nothing of a later one can use it."""
        self.pending, self.places = [], places
        self.metadata = reader.consumer_group_metadata()

    def taken(self, reader, places):
        self.pending, self.places, self.metadata = [], [], None

    def work(self):
        number, idle_since = 0, time.monotonic()
        while not self.stopped:
            until = time.monotonic() + 0.1
            wanted = 400 if self.options.until_end else self.rng.choice((1, 10, 50, 200))
            while time.monotonic() < until and len(self.pending) < wanted:
                message = self.reader.poll(0.02)
                if message is None:
                    continue
                if message.error():
                    self.judge(message.error())
                    continue
                self.pending.append([message.partition(), message.offset(),
                                     name_of(message.value())])
            if not self.pending:
                if not self.places:
                    idle_since = time.monotonic()
                if self.options.until_end and time.monotonic() - idle_since > END_SECONDS:
                    return
                continue
            number += 1
            idle_since = time.monotonic()
            if self.transform("%s/%d" % (self.who, number)):
                self.pending = []

    def judge(self, error):
        if error.fatal():
            self.trouble("the consumer: %s" % error)
            raise Ended()
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            self.trouble("the consumer: %s" % error)

    def transform(self, name):
        inputs, outputs, offsets = list(self.pending), [], {}
        for i, (partition, offset, _) in enumerate(inputs):
            outputs.append(("out", (partition + i) % OUTPUTS, "%s#%d" % (name, 2 * i)))
            outputs.append(("audit", partition % AUDITS, "%s#%d" % (name, 2 * i + 1)))
            offsets[partition] = max(offsets.get(partition, 0), offset + 1)
        self.note("txn", txn=name, who=self.who, group=self.group, inputs=inputs,
                  outputs=outputs, offsets=offsets)
        return self.sender.transact(
            name, outputs, self.rng.random() < 0.85 or self.options.until_end,
            ([TopicPartition("in", p, offset) for p, offset in offsets.items()], self.metadata),
            0 if self.options.until_end else self.rng.choice((0, 0, 0, 0.03, 0.2)))


class Read(Worker):
    def run(self):
        readers = [(isolation, self.consumer("reader-" + isolation, isolation))
                   for isolation in ("read_committed", "read_uncommitted")]
        asker = [self.consumer(group, "read_uncommitted") for group in GROUPS]
        for isolation, reader in readers:
            self.assign(reader)
        next_commit, next_question = 0, 0
        while not self.stopped:
            for isolation, reader in readers:
                self.poll(isolation, reader)
            if time.monotonic() > next_question:
                next_question = time.monotonic() + 0.1
                for group, one in zip(GROUPS, asker):
                    self.ask(one, group, ["in"])
            if time.monotonic() > next_commit:
                next_commit = time.monotonic() + 0.5
                for isolation, reader in readers:
                    self.commit(isolation, reader)
        for _, reader in readers:
            reader.close()

    def assign(self, reader):
        """From where it has committed: what its predecessor was given later, it is given again."""
        places = [TopicPartition(topic, p) for topic in TOPICS for p in range(TOPICS[topic])]
        until = time.monotonic() + PATIENCE
        while not self.stopped:
            try:
                places = reader.committed(places, 2)
                break
            except KafkaException as exception:
                if time.monotonic() > until:
                    self.trouble("where to go on: %s" % exception)
                    return
        for place in places:
            place.offset = place.offset if place.offset >= 0 else OFFSET_BEGINNING
        reader.assign(places)

    def poll(self, isolation, reader):
        given = {}
        for message in reader.consume(300, 0.03):
            if not message.error():
                given.setdefault((message.topic(), message.partition()), []).append(
                    [message.offset(), name_of(message.value())])
            elif message.error().code() in (KafkaError._AUTO_OFFSET_RESET,
                                            KafkaError.OFFSET_OUT_OF_RANGE):
                self.trouble("reader, %s: %s" % (isolation, message.error()))
        for (topic, partition), records in given.items():
            self.note("poll", who="%s-%s" % (self.who, isolation), isolation=isolation,
                      topic=topic, partition=partition, records=records)

    def commit(self, isolation, reader):
        began = time.monotonic_ns()
        try:
            places = [place for place in reader.position(reader.assignment())
                      if place.offset >= 0]
            done = reader.commit(offsets=places, asynchronous=False) if places else []
        except KafkaException:
            return  # unknown
        for place in done:
            if not place.error:
                self.note("commit", group="reader-" + isolation, topic=place.topic,
                          partition=place.partition, offset=place.offset, t0=began)

    def ask(self, consumer, group, topics, seconds=1):
        began = time.monotonic_ns()
        try:
            places = consumer.committed([TopicPartition(topic, p) for topic in topics
                                         for p in range(TOPICS[topic])], seconds)
        except KafkaException:
            return False
        for place in places:
            if place.error:
                return False
            self.note("offset", group=group, topic=place.topic, partition=place.partition,
                      offset=max(place.offset, -1), t0=began)
        return True


class Dump(Read):
    def run(self):
        for isolation in ("read_uncommitted", "read_committed"):
            self.dump(isolation)
        for group in GROUPS + ("reader-read_committed", "reader-read_uncommitted"):
            one = self.consumer(group, "read_uncommitted")
            if not self.ask(one, group, ["in"] if group in GROUPS else TOPICS, 10):
                self.trouble("offsets of %s can't be read" % group)
            one.close()

    def dump(self, isolation):
        reader = self.consumer("dump", isolation, enable_partition_eof=True)
        left = {(topic, p): [] for topic in TOPICS for p in range(TOPICS[topic])}
        reader.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for topic, p in left])
        until = time.monotonic() + PATIENCE
        while left and time.monotonic() < until:
            for message in reader.consume(1000, 0.1):
                place = (message.topic(), message.partition())
                if not message.error():
                    left[place].append([message.offset(), name_of(message.value())])
                elif message.error().code() == KafkaError._PARTITION_EOF and place in left:
                    self.note("dump", number=self.options.number, isolation=isolation,
                              topic=place[0], partition=place[1], records=left.pop(place),
                              end=message.offset())
        if left:
            self.trouble("dump, %s: no end of %s" % (isolation, sorted(left)))
        reader.close()


class Topics(Worker):
    def run(self):
        admin = AdminClient(self.common())
        made = admin.create_topics([NewTopic(topic, count, 1) for topic, count in TOPICS.items()])
        for future in made.values():
            future.result(10)


ROLES = {"produce": Produce, "transform": Transform, "read": Read, "dump": Dump, "topics": Topics}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=sorted(ROLES))
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--who", required=True)
    parser.add_argument("--history", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--id", help="transactional.id")
    parser.add_argument("--partitions", help="of `in`, for a transformer that joins no group")
    parser.add_argument("--join", help="group.instance.id of one that does; empty: none")
    parser.add_argument("--until-end", action="store_true")
    parser.add_argument("--number", type=int, default=0)
    options = parser.parse_args()
    try:
        ROLES[options.role](options).run()
    except Ended:
        pass
    sys.stdout.flush()
    os._exit(0)  # what librdkafka still wants to say to a server that is gone is not waited for


if __name__ == "__main__":
    main()
