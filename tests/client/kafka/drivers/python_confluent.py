"""The driver of confluent-kafka: librdkafka in Python."""
import uuid

import confluent_kafka
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

import ops

WAIT = 10
STARTS = {"beginning": confluent_kafka.OFFSET_BEGINNING, "end": confluent_kafka.OFFSET_END}


class Client:
    def __init__(self):
        self.brokers = None
        self.producers = {}
        self.admin_client = None
        self.consumer = None
        self.inbox = ops.Inbox(self.poll)
        self.taken = {}

    # ---- helpers ----

    def common(self):
        return {"bootstrap.servers": self.brokers, "reconnect.backoff.max.ms": 300, "log_level": 2}

    def admin(self):
        if not self.admin_client:
            self.admin_client = AdminClient(self.common())
        return self.admin_client

    def wait(self, futures):
        return [future.result(WAIT) for future in futures.values()]

    def producer(self, **options):
        key = repr(options)
        if key not in self.producers:
            self.producers[key] = Producer({
                **self.common(), "linger.ms": 2, "message.max.bytes": 4 << 20,
                **{name.replace("_", "."): value for name, value in options.items()}})
            if "transactional_id" in options:
                self.producers[key].init_transactions(WAIT)
        return self.producers[key]

    def reader(self, group=None, **options):
        return Consumer({
            **self.common(), "group.id": group or "reader-%s" % uuid.uuid4(),
            "auto.offset.reset": "earliest", "enable.auto.commit": False,
            "heartbeat.interval.ms": 300, "max.partition.fetch.bytes": 4 << 20,
            **{name.replace("_", "."): value for name, value in options.items()}})

    def places(self, client, topic, offset=0):
        found = client.list_topics(topic, WAIT).topics[topic]
        if found.error:
            raise KafkaException(found.error)
        return [TopicPartition(topic, number, offset) for number in sorted(found.partitions)]

    def send(self, producer, topic, records):
        errors = []

        def report(error, _):
            if error:
                errors.append(error)

        for record in records:
            more = {name: record[name] for name in ("partition", "timestamp") if name in record}
            while True:
                try:
                    producer.produce(
                        topic, key=ops.decode(record["key"]), value=ops.decode(record["value"]),
                        headers=[(name, ops.decode(value)) for name, value in record["headers"]],
                        on_delivery=report, **more)
                    break
                except BufferError:
                    producer.poll(0.1)
        left = producer.flush(15)
        if errors or left:
            raise KafkaException(errors[0]) if errors else RuntimeError("%d not sent" % left)

    def poll(self, seconds, consumer=None):
        consumer = consumer or self.consumer
        if not consumer:
            return
        for message in consumer.consume(500, seconds):
            if message.error():
                continue
            place = (message.topic(), message.partition())
            self.taken[place] = message.offset() + 1
            self.inbox.records.append({
                "topic": place[0], "partition": place[1], "offset": message.offset(),
                "key": ops.encode(message.key()), "value": ops.encode(message.value()),
                "headers": [[name, ops.encode(value)] for name, value in message.headers() or []],
                "timestamp": message.timestamp()[1]})

    def idle(self):
        self.poll(0.001)

    def done(self):
        return [TopicPartition(topic, partition, offset)
                for (topic, partition), offset in self.taken.items()]

    def fresh(self):
        self.taken, self.inbox.records = {}, []

    # ---- operations ----

    def hello(self, brokers):
        self.brokers = brokers
        return "%s (librdkafka %s)" % (confluent_kafka.version()[0], confluent_kafka.libversion()[0])

    def produce(self, topic, records, compression="none", idempotent=False):
        producer = self.producer(compression_type=compression, enable_idempotence=idempotent)
        # One that lives asks for a new topic once a second only; here it asks at once.
        producer.list_topics(topic, WAIT)
        self.send(producer, topic, records)

    def open(self, topics, committed=True, **options):
        start = options["from"]
        self.fresh()
        isolation = "read_committed" if committed else "read_uncommitted"
        consumer = self.reader(isolation_level=isolation)
        if isinstance(start, str):
            offset = STARTS[start]
        else:
            offset = start.get("offset", start.get("time"))
        places = [place for topic in topics for place in self.places(consumer, topic, offset)]
        if "time" in start:
            places = consumer.offsets_for_times(places, WAIT)
        consumer.assign(places)
        self.consumer = consumer

    def join(self, group, topics, strategy="roundrobin", session_ms=10000, instance=None):
        self.fresh()
        more = {"group_instance_id": instance} if instance else {}
        self.consumer = self.reader(group, session_timeout_ms=session_ms,
                                    partition_assignment_strategy=strategy, **more)
        self.consumer.subscribe(topics)

    def take(self, count, ms):
        return self.inbox.take(count, ms)

    def assignment(self):
        return ["%s/%d" % (place.topic, place.partition) for place in self.consumer.assignment()]

    def commit(self):
        for place in self.consumer.commit(offsets=self.done(), asynchronous=False):
            if place.error:
                raise KafkaException(place.error)

    def shut(self):
        if self.consumer:
            self.consumer.close()
        self.consumer = None

    def offsets(self, topic, partition):
        reader = self.reader()
        low, high = reader.get_watermark_offsets(TopicPartition(topic, partition), WAIT)
        reader.close()
        return {"earliest": low, "latest": high}

    def at_time(self, topic, partition, time):
        reader = self.reader()
        found = reader.offsets_for_times([TopicPartition(topic, partition, time)], WAIT)
        reader.close()
        return found[0].offset

    def metadata(self, topic=None):
        found = self.producer().list_topics(topic, WAIT)
        return {"brokers": [{"host": one.host, "port": one.port} for one in found.brokers.values()],
                "topics": {name: len(one.partitions) for name, one in found.topics.items()}}

    def transact(self, producer, topic, records, outcome):
        producer = self.producer(transactional_id=producer)
        producer.begin_transaction()
        self.send(producer, topic, records)
        if outcome == "commit":
            producer.commit_transaction(WAIT)
        else:
            producer.abort_transaction(WAIT)

    def transfer(self, producer, group, to, count, **more):
        self.fresh()
        reader = self.reader(group)
        reader.subscribe([more["from"]])
        for _ in range(200):
            if len(self.inbox.records) < count:
                self.poll(0.05, reader)
        records = self.inbox.take(count, 0)
        producer = self.producer(transactional_id=producer)
        producer.begin_transaction()
        self.send(producer, to, [
            {"key": None, "headers": [], "value": ops.encode(ops.decode(one["value"]).upper())}
            for one in records])
        producer.send_offsets_to_transaction(self.done(), reader.consumer_group_metadata(), WAIT)
        producer.commit_transaction(WAIT)
        reader.close()
        return len(records)

    def create_topic(self, topic, partitions, configs=None):
        wanted = NewTopic(topic, partitions, 1, config=configs or {})
        self.wait(self.admin().create_topics([wanted]))

    def delete_topic(self, topic):
        self.wait(self.admin().delete_topics([topic]))

    def create_partitions(self, topic, total):
        self.wait(self.admin().create_partitions([NewPartitions(topic, total)]))

    def describe_configs(self, topic):
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        found = self.wait(self.admin().describe_configs([resource]))[0]
        return {name: entry.value for name, entry in found.items()}

    def alter_configs(self, topic, configs):
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, set_config=configs)
        self.wait(self.admin().alter_configs([resource]))

    def list_groups(self):
        return [one.id for one in self.admin().list_groups(timeout=WAIT)]

    def describe_group(self, group):
        found = self.admin().list_groups(group, WAIT)[0]
        return {"state": found.state, "members": len(found.members)}

    def group_offsets(self, group, topic):
        reader = self.reader(group)
        found = reader.committed(self.places(reader, topic), WAIT)
        reader.close()
        return {place.partition: max(place.offset, -1) for place in found}

    def describe_cluster(self):
        found = self.admin().list_topics(timeout=WAIT)
        return {"brokers": len(found.brokers), "controller": found.controller_id,
                "cluster_id": found.cluster_id}


CLIENT = Client()
ops.serve({name: getattr(CLIENT, name) for name in dir(CLIENT)
           if not name.startswith("_") and name not in ("idle", "poll", "inbox")}, CLIENT.idle)
