"""The driver of kafka-python."""
import kafka
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

import ops

ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor}


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
        return {"bootstrap_servers": self.brokers, "reconnect_backoff_ms": 20,
                "reconnect_backoff_max_ms": 200, "retry_backoff_ms": 50}

    def admin(self):
        if not self.admin_client:
            self.admin_client = KafkaAdminClient(**self.common())
        return self.admin_client

    def reader(self, **options):
        return kafka.KafkaConsumer(
            auto_offset_reset="earliest", enable_auto_commit=False, fetch_max_wait_ms=500,
            heartbeat_interval_ms=300, max_partition_fetch_bytes=4 << 20, metadata_max_age_ms=1000,
            **{**self.common(), **options})

    def partitions(self, consumer, topic):
        # The first question may be what makes the topic.
        for _ in range(100):
            found = consumer.partitions_for_topic(topic)
            if found:
                return [kafka.TopicPartition(topic, number) for number in sorted(found)]
        raise RuntimeError("%s has no partitions" % topic)

    def poll(self, seconds):
        if not self.consumer:
            return
        for place, records in self.consumer.poll(timeout_ms=int(seconds * 1000)).items():
            for record in records:
                self.taken[place] = record.offset + 1
                self.inbox.records.append({
                    "topic": record.topic, "partition": record.partition, "offset": record.offset,
                    "key": ops.encode(record.key), "value": ops.encode(record.value),
                    "headers": [[name, ops.encode(value)] for name, value in record.headers],
                    "timestamp": record.timestamp})

    def idle(self):
        self.poll(0.001)

    # ---- operations ----

    def hello(self, brokers):
        self.brokers = brokers
        return kafka.__version__

    def produce(self, topic, records, compression="none"):
        if compression not in self.producers:
            self.producers[compression] = kafka.KafkaProducer(
                acks="all", linger_ms=2, max_request_size=4 << 20, metadata_max_age_ms=1000,
                compression_type=None if compression == "none" else compression, **self.common())
        producer = self.producers[compression]
        futures = [producer.send(
            topic, key=ops.decode(record["key"]), value=ops.decode(record["value"]),
            headers=[(name, ops.decode(value)) for name, value in record["headers"]],
            partition=record.get("partition"), timestamp_ms=record.get("timestamp"))
                   for record in records]
        producer.flush(15)
        for future in futures:
            future.get(0)

    def open(self, topics, **options):
        start = options["from"]
        self.taken, self.inbox.records = {}, []
        self.consumer = self.reader()
        places = [place for topic in topics for place in self.partitions(self.consumer, topic)]
        self.consumer.assign(places)
        if start == "beginning":
            self.consumer.seek_to_beginning()
        elif start == "end":
            self.consumer.seek_to_end()
        elif "time" in start:
            found = self.consumer.offsets_for_times({place: start["time"] for place in places})
            for place, at in found.items():
                self.consumer.seek(place, at.offset)
        else:
            for place in places:
                self.consumer.seek(place, start["offset"])
        if start == "end":
            for place in places:
                self.consumer.position(place)

    def join(self, group, topics, strategy="roundrobin", session_ms=10000):
        self.taken, self.inbox.records = {}, []
        self.consumer = self.reader(
            group_id=group, session_timeout_ms=session_ms,
            partition_assignment_strategy=[ASSIGNORS[strategy]])
        self.consumer.subscribe(topics)

    def take(self, count, ms):
        return self.inbox.take(count, ms)

    def assignment(self):
        self.poll(0.01)
        return ["%s/%d" % place for place in self.consumer.assignment()]

    def commit(self):
        self.consumer.commit({place: kafka.structs.OffsetAndMetadata(offset, "")
                              for place, offset in self.taken.items()})

    def shut(self):
        if self.consumer:
            self.consumer.close(autocommit=False)
        self.consumer = None

    def offsets(self, topic, partition):
        reader = self.reader()
        place = self.partitions(reader, topic)[partition]
        answer = {"earliest": reader.beginning_offsets([place])[place],
                  "latest": reader.end_offsets([place])[place]}
        reader.close()
        return answer

    def at_time(self, topic, partition, time):
        reader = self.reader()
        place = self.partitions(reader, topic)[partition]
        found = reader.offsets_for_times({place: time})[place]
        reader.close()
        return found.offset if found else None

    def metadata(self, topic=None):
        reader = self.reader()
        names = [topic] if topic else reader.topics()
        topics = {name: len(self.partitions(reader, name)) for name in names}
        brokers = [{"host": broker.host, "port": broker.port}
                   for broker in reader._client.cluster.brokers()]
        reader.close()
        return {"brokers": brokers, "topics": topics}

    def create_topic(self, topic, partitions, configs=None):
        self.admin().create_topics([NewTopic(topic, partitions, 1, topic_configs=configs or {})])

    def delete_topic(self, topic):
        self.admin().delete_topics([topic])

    def create_partitions(self, topic, total):
        self.admin().create_partitions({topic: NewPartitions(total)})

    def describe_configs(self, topic):
        answers = self.admin().describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        error, message, _, _, entries = answers[0].resources[0]
        if error:
            raise RuntimeError("error %d: %s" % (error, message))
        return {entry[0]: entry[1] for entry in entries}

    def alter_configs(self, topic, configs):
        self.admin().alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])

    def list_groups(self):
        return [group for group, _ in self.admin().list_consumer_groups()]

    def describe_group(self, group):
        found = self.admin().describe_consumer_groups([group])[0]
        return {"state": found.state, "members": len(found.members)}

    def delete_group(self, group):
        for _, error in self.admin().delete_consumer_groups([group]):
            if error.errno:
                raise error

    def group_offsets(self, group, topic):
        found = self.admin().list_consumer_group_offsets(group)
        return {place.partition: at.offset for place, at in found.items() if place.topic == topic}

    def describe_cluster(self):
        found = self.admin().describe_cluster()
        return {"brokers": len(found["brokers"]), "controller": found["controller_id"],
                "cluster_id": found["cluster_id"]}


CLIENT = Client()
ops.serve({name: getattr(CLIENT, name) for name in dir(CLIENT)
           if not name.startswith("_") and name not in ("idle", "poll", "inbox", "serve")},
          CLIENT.idle)
