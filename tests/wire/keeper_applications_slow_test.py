#!/usr/bin/env python3
"""Kafka 3.9 and HBase 2.6, unmodified, with a node in ZooKeeper's place.

Catches what only whole applications do with ZooKeeper: a controller or a region server that is dead and is not noticed, a
new one that cannot take its place, sessions that a SIGKILL of the node ends, and data that the application cannot reach
afterwards.  Prints the mix of operations.  Skipped, aloud, where Maven or their jars cannot be had.
"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "process"))

import zkwire  # noqa: E402 (its folder had to be named first)
from applications import Program, Server, java, operations, print_mix  # noqa: E402
from cairnproc import Count, Lost, Node, check, equal, main  # noqa: E402
from clients import compiled, from_maven  # noqa: E402

LOG4J = """log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{HH:mm:ss,SSS} %p %c{2}: %m%n
"""


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def eventually(what, condition, servers, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, f"{what}: not within {seconds} s")
        for server in servers:
            server.check()
        time.sleep(0.2)


class Look:
    """A connection that looks what an application has put there; what it asks for is none of the application's."""

    def __init__(self, node):
        self.node, self.connection, self.asked = node, zkwire.Connection(node.zk), Count(createSession=1)

    def ask(self, name, as_metered, path):
        try:
            reply = self.connection.call(name, path, False)[0]
        except Lost:  # its session has expired meanwhile
            self.connection.end()
            self.connection = zkwire.Connection(self.node.zk)
            self.asked["createSession"] += 1
            reply = self.connection.call(name, path, False)[0]
        self.asked[as_metered] += 1
        return None if reply.error else reply.body[0]

    def children(self, path):
        return self.ask("ls", "getChildren", path) or []

    def data(self, path):
        return self.ask("get", "getData", path) or b""

    def operations(self):
        """What others have asked the node for."""
        return {name: count - self.asked[name] for name, count in operations(self.node).items() if count > self.asked[name]}

    def end(self):
        self.connection.end()


# --- Kafka ---

KAFKA = """broker.id={number}
listeners=PLAINTEXT://127.0.0.1:{port}
zookeeper.connect=127.0.0.1:{zk}/kafka
zookeeper.session.timeout.ms=6000
log.dirs={folder}/broker{number}
num.partitions=1
offsets.topic.replication.factor=2
offsets.topic.num.partitions=2
transaction.state.log.replication.factor=2
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
controlled.shutdown.enable=false
log.cleaner.enable=false
"""


def test_kafka(folder):
    jars = from_maven("kafka-3.9.0", "org.apache.kafka:kafka_2.13:3.9.0", seconds=600)
    path = compiled(folder, "KafkaWork", jars)
    ports = {number: zkwire.free_port() for number in (1, 2)}
    servers = {}
    program = None
    with Node(folder, zk=0) as node:
        try:
            for number, port in ports.items():
                config = write(folder, f"{number}.properties",
                               KAFKA.format(number=number, port=port, zk=node.zk, folder=folder))
                servers[number] = Server(folder, f"broker{number}", java(path, "kafka.Kafka", config))
            look = Look(node)
            eventually("two brokers", lambda: len(look.children("/kafka/brokers/ids")) == 2, servers.values())
            program = Program(folder, "work", java(path, "KafkaWork", ",".join(f"127.0.0.1:{port}" for port in ports.values())))
            program.tell("brokers 2")
            program.tell("create topic")
            program.tell("brokers 2")
            program.tell("produce topic 0 500")
            program.tell("consume topic 500")
            print_mix(look.operations(), "two brokers of Kafka start, a topic is made and used")

            old = int(program.tell("controller")[0])
            servers[old].kill()
            other = 3 - old
            eventually("the other broker is the controller",
                       lambda: b'"brokerid":%d' % other in look.data("/kafka/controller"), [servers[other]])
            program.tell("produce topic 500 1000")
            program.tell("consume topic 1000")
            servers[old].start()
            program.tell("brokers 2")

            look.end()
            node.kill()  # its sessions, and so the brokers and the controller, outlive it
            node.start()
            look = Look(node)
            program.tell("produce topic 1000 1500")
            program.tell("create later")
            program.tell("brokers 2")
            program.tell("produce later 0 100")
            program.tell("consume topic 1500")
            equal(int(program.tell("controller")[0]), other, "the controller after a SIGKILL of the node")
            print_mix(look.operations(), "after a SIGKILL of the node")
        finally:
            for one in [program, *servers.values()]:
                if one:
                    one.kill()


# --- HBase ---

HBASE = {
    "hbase.rootdir": "file://{folder}/root", "hbase.tmp.dir": "{folder}/tmp", "hbase.cluster.distributed": "true",
    "hbase.zookeeper.quorum": "127.0.0.1", "hbase.zookeeper.property.clientPort": "{zk}",
    "zookeeper.session.timeout": "10000", "hbase.unsafe.stream.capability.enforce": "false",
    "hbase.wal.provider": "filesystem", "hbase.master.hostname": "localhost", "hbase.regionserver.hostname": "localhost",
    "hbase.master.port": "0", "hbase.regionserver.port": "0", "hbase.master.info.port": "-1",
    "hbase.regionserver.info.port": "-1", "hbase.master.wait.on.regionservers.mintostart": "2",
    "hbase.regionserver.handler.count": "6",
}


def test_hbase(folder):
    jars = from_maven("hbase-2.6.1", "org.apache.hbase:hbase-server:2.6.1", seconds=600)
    path = compiled(folder, "HBaseWork", jars)
    write(folder, "log4j.properties", LOG4J)
    servers = {}
    program = None
    with Node(folder, zk=0) as node:
        write(folder, "hbase-site.xml", "<configuration>" + "".join(
            f"<property><name>{name}</name><value>{value.format(folder=folder, zk=node.zk)}</value></property>\n"
            for name, value in HBASE.items()) + "</configuration>\n")
        try:
            for name, kind in (("master", "master.HMaster"), ("region1", "regionserver.HRegionServer"),
                               ("region2", "regionserver.HRegionServer")):
                servers[name] = Server(folder, name, java(path, f"org.apache.hadoop.hbase.{kind}", "start"))
            look = Look(node)
            eventually("a master and two region servers",
                       lambda: len(look.children("/hbase/rs")) == 2 and "master" in look.children("/hbase"),
                       servers.values(), 240)
            program = Program(folder, "work", java(path, "HBaseWork"))
            program.tell("create 1000")
            program.tell("servers 2")
            began = look.operations()
            reads, writes = print_mix(began, "HBase's three servers start, a table is made")
            check(reads > 20 and writes > 10, "HBase has asked for next to nothing")
            program.tell("put 0 1000")
            program.tell("scan 1000")
            program.tell("flush")
            count = {name: value - began.get(name, 0) for name, value in look.operations().items()}
            print_mix({name: value for name, value in count.items() if value}, "rows are written, scanned and flushed")

            port = program.tell("where")[0]
            gone, = [name for name in look.children("/hbase/rs") if f",{port}," in name]
            with open(servers["region1"].log, encoding="utf-8", errors="replace") as log:
                name = "region1" if f"Serving as {gone}" in log.read() else "region2"
            servers[name].kill()
            eventually("the region server's ephemeral is gone", lambda: gone not in look.children("/hbase/rs"),
                       [one for one in servers.values() if one.process])
            program.tell("servers 1")
            program.tell("scan 1000")
            program.tell("put 1000 2000")
            servers[name].start()
            program.tell("servers 2")

            look.end()
            node.kill()  # no server may take that for the end of its session
            node.start()
            look = Look(node)
            eventually("the three servers are connected again", lambda: look.operations().get("createSession", 0) >= 3,
                       servers.values())
            program.tell("put 2000 3000")
            program.tell("flush")
            program.tell("scan 3000")
            program.tell("servers 2")
            for one in servers.values():
                one.check()
            print_mix(look.operations(), "after a SIGKILL of the node")
        finally:
            for one in [program, *servers.values()]:
                if one:
                    one.kill()


if __name__ == "__main__":
    main([test_kafka, test_hbase])
