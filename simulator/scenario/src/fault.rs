//! The library of faults: one table from which names, schema, keys, lists, documentation and tests come.
//!
//! Each says what must hold while it lasts beside what always must, and which counter tells that it did happen. How a fault
//! is made is the stage's matter; this table only says it in a sentence.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// What must hold through every fault.
pub const ALWAYS: &str =
    "nothing lost, nothing counted twice, the books balance; when it is mended the view comes right";

/// Something that can break, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    Duplicates,
    Late,
    Reordered,
    Poison,
    MissingNumbers,
    ClockSkew,
    StoresOffline,
    StoreServersRestart,
    QueueManagerStops,
    QueueRedelivers,
    QueueCuts,
    QueuePoison,
    StoreGatewayKilled,
    MqSourceKilled,
    NormaliserKilled,
    InventoryKilled,
    ReconcilerKilled,
    ItemProjectorKilled,
    NormaliserZombie,
    InventoryZombie,
    ServiceSlow,
    ServiceRestarts,
    InstanceJoins,
    InstanceLeaves,
    CoordinatorMoves,
    NodeLost,
    LeadersMove,
    AnswersLost,
    BrokerDisconnects,
    BrokerSilent,
    DataCentreLost,
    DiskFull,
}

/// Where it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    Sources,
    Stores,
    Queue,
    Services,
    Group,
    Broker,
    DataCentre,
    Disk,
}

impl Area {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Sources => "sources",
            Self::Stores => "stores",
            Self::Queue => "queue",
            Self::Services => "services",
            Self::Group => "group",
            Self::Broker => "broker",
            Self::DataCentre => "data centre",
            Self::Disk => "disk",
        }
    }
}

/// What a step may say about a fault beside its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    OneIn,
    Stores,
    Service,
    Node,
    DataCentre,
    Delay,
    Every,
}

impl Parameter {
    pub const fn key(self) -> &'static str {
        match self {
            Self::OneIn => "one_in",
            Self::Stores => "stores",
            Self::Service => "service",
            Self::Node => "node",
            Self::DataCentre => "data_centre",
            Self::Delay => "delay",
            Self::Every => "every",
        }
    }
}

/// What has to be inside the process for a fault to be made there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Broker,
    Queue,
    Services,
}

/// One row of the library.
#[derive(Clone, Copy, Debug)]
pub struct FaultInfo {
    pub fault: Fault,
    /// Kebab-case, and never changed.
    pub name: &'static str,
    pub area: Area,
    /// One line for a list.
    pub about: &'static str,
    /// What must hold beside [`ALWAYS`]; may be empty.
    pub always: &'static str,
    /// What its count counts.
    pub sometimes: &'static str,
    /// How it is made on the embedded servers.
    pub embedded: &'static str,
    /// What stands for it on real ones.
    pub real: &'static str,
    pub takes: &'static [Parameter],
    pub needs: &'static [Need],
}

const STACK: &str = "`cargo xtask stack test`";

const fn info(fault: Fault, area: Area, name: &'static str, about: &'static str) -> FaultInfo {
    FaultInfo {
        fault,
        name,
        area,
        about,
        always: "",
        sometimes: "",
        embedded: "",
        real: STACK,
        takes: &[],
        needs: &[],
    }
}

const fn source(fault: Fault, name: &'static str, about: &'static str) -> FaultInfo {
    FaultInfo {
        sometimes: "messages that were hit",
        embedded: "the load does it, one message in `one_in`",
        real: "the same",
        takes: &[Parameter::OneIn],
        ..info(fault, Area::Sources, name, about)
    }
}

const fn killed(fault: Fault, name: &'static str, about: &'static str) -> FaultInfo {
    FaultInfo {
        sometimes: "instances killed",
        embedded: "all its instances end at once and finish nothing; mended, they start again",
        real: "`kill -9` of its processes: `cargo xtask stack test`",
        needs: &[Need::Services],
        ..info(fault, Area::Services, name, about)
    }
}

const fn zombie(fault: Fault, name: &'static str, about: &'static str) -> FaultInfo {
    FaultInfo {
        always: "what it still had under way is not counted beside what the other instance made of it",
        sometimes: "sessions that ended in its groups",
        embedded: "the broker answers nothing that it asks, and writes what it had sent only when another instance has its work; mended, it is heard again",
        real: "SIGSTOP, longer than the session time-out, then SIGCONT: `cargo xtask stack test`",
        needs: &[Need::Services, Need::Broker],
        ..info(fault, Area::Services, name, about)
    }
}

/// All faults, in the order of [`Fault`].
pub static FAULTS: [FaultInfo; 32] = [
    source(
        Fault::Duplicates,
        "duplicates",
        "tills, queues and scanners send messages twice",
    ),
    source(
        Fault::Late,
        "late",
        "messages are held back for seconds, and later ones overtake them",
    ),
    source(
        Fault::Reordered,
        "reordered",
        "messages change places with the next of their source",
    ),
    FaultInfo {
        always: "each is a dead letter, kept whole, and holds up nobody",
        ..source(
            Fault::Poison,
            "poison",
            "messages that nobody can understand come in between",
        )
    },
    FaultInfo {
        always: "the numbers are reported as missing, and nothing waits for them",
        ..source(
            Fault::MissingNumbers,
            "missing-numbers",
            "numbers are used up, and what they stood for is lost at the source",
        )
    },
    source(
        Fault::ClockSkew,
        "clock-skew",
        "the clocks of some tills are off by minutes",
    ),
    FaultInfo {
        always: "the stores sell on, and their journals keep it",
        sometimes: "stores that lost their line",
        embedded: "the store servers do not upload",
        real: "the same",
        takes: &[Parameter::Stores],
        ..info(
            Fault::StoresOffline,
            Area::Stores,
            "stores-offline",
            "stores lose their line: a tenth of them, or those that are named",
        )
    },
    FaultInfo {
        sometimes: "uploads that came again because of it",
        embedded: "connections break every so often, and what was under way comes again from the journal",
        real: "the same",
        takes: &[Parameter::Stores, Parameter::Every],
        ..info(
            Fault::StoreServersRestart,
            Area::Stores,
            "store-servers-restart",
            "store servers start again and again, with their journals",
        )
    },
    FaultInfo {
        sometimes: "times that it stopped",
        embedded: "all connections break and nobody can connect; durable messages are there when it comes back",
        real: "`kill -9` of Artemis: `cargo xtask stack test`",
        needs: &[Need::Queue],
        ..info(
            Fault::QueueManagerStops,
            Area::Queue,
            "queue-manager-stops",
            "the queue manager is down",
        )
    },
    FaultInfo {
        sometimes: "acceptances that were lost",
        embedded: "acceptances get lost on the way, so the queue delivers again",
        needs: &[Need::Queue],
        ..info(
            Fault::QueueRedelivers,
            Area::Queue,
            "queue-redelivers",
            "the queue does not hear that messages were taken, and delivers them again",
        )
    },
    FaultInfo {
        sometimes: "connections cut",
        embedded: "connections break in mid-batch, every so often: of a sender, then of a receiver",
        real: "a proxy that resets connections: the tests of mq-source",
        takes: &[Parameter::Every],
        needs: &[Need::Queue],
        ..info(
            Fault::QueueCuts,
            Area::Queue,
            "queue-cuts",
            "connections to the queue break in the middle of a batch",
        )
    },
    FaultInfo {
        always: "each is in the backout queue and a dead letter, and holds up nobody",
        sometimes: "messages in backout queues",
        embedded: "a warehouse puts messages on its queue that Kafka never takes, because of their size",
        real: "the tests of mq-source",
        takes: &[Parameter::Every],
        needs: &[Need::Queue],
        ..info(
            Fault::QueuePoison,
            Area::Queue,
            "queue-poison",
            "messages that Kafka refuses come over the queue",
        )
    },
    killed(
        Fault::StoreGatewayKilled,
        "store-gateway-killed",
        "the store gateway dies without warning",
    ),
    killed(
        Fault::MqSourceKilled,
        "mq-source-killed",
        "the mq-source dies without warning",
    ),
    killed(
        Fault::NormaliserKilled,
        "normaliser-killed",
        "the normaliser dies without warning",
    ),
    killed(
        Fault::InventoryKilled,
        "inventory-killed",
        "the inventory dies without warning",
    ),
    FaultInfo {
        always: "stock is not held up, and the list of contradicting deliveries is exact at the end",
        ..killed(
            Fault::ReconcilerKilled,
            "reconciler-killed",
            "the reconciler of papers dies without warning",
        )
    },
    FaultInfo {
        always: "stock is not held up, and each line is in `items` once for who reads committed records",
        ..killed(
            Fault::ItemProjectorKilled,
            "item-projector-killed",
            "the item projector dies without warning, where the scenario has one",
        )
    },
    zombie(
        Fault::NormaliserZombie,
        "normaliser-zombie",
        "an instance of the normaliser is not heard of, and comes back when another has its work",
    ),
    zombie(
        Fault::InventoryZombie,
        "inventory-zombie",
        "an instance of the inventory is not heard of, and comes back when another has its work",
    ),
    FaultInfo {
        sometimes: "requests that were delayed",
        embedded: "the broker answers one instance late, by `delay`",
        takes: &[Parameter::Service, Parameter::Delay],
        needs: &[Need::Services, Need::Broker],
        ..info(
            Fault::ServiceSlow,
            Area::Services,
            "service-slow",
            "an instance of the inventory, or of the service that is named, is slow",
        )
    },
    FaultInfo {
        sometimes: "restarts",
        embedded: "one instance is killed and started again, every so often",
        takes: &[Parameter::Service, Parameter::Every],
        needs: &[Need::Services],
        ..info(
            Fault::ServiceRestarts,
            Area::Services,
            "service-restarts",
            "an instance of the inventory, or of the service that is named, dies in a loop",
        )
    },
    FaultInfo {
        sometimes: "rebalances of its group",
        embedded: "one more instance is started; mended, it leaves again",
        takes: &[Parameter::Service],
        needs: &[Need::Services, Need::Broker],
        ..info(
            Fault::InstanceJoins,
            Area::Group,
            "instance-joins",
            "another instance of the inventory, or of the service that is named, joins",
        )
    },
    FaultInfo {
        sometimes: "rebalances of its group",
        embedded: "the oldest instance is told to end; mended, another is started",
        takes: &[Parameter::Service],
        needs: &[Need::Services, Need::Broker],
        ..info(
            Fault::InstanceLeaves,
            Area::Group,
            "instance-leaves",
            "an instance of the inventory, or of the service that is named, leaves",
        )
    },
    FaultInfo {
        sometimes: "times that a coordinator moved",
        embedded: "the coordinators of all groups go to the next node, every so often",
        takes: &[Parameter::Every],
        needs: &[Need::Broker],
        ..info(
            Fault::CoordinatorMoves,
            Area::Group,
            "coordinator-moves",
            "other nodes coordinate the consumer groups, again and again",
        )
    },
    FaultInfo {
        sometimes: "partitions that another node had to lead",
        embedded: "its connections are cut, and nobody can connect; others lead its partitions",
        real: "`kill -9` of a broker: `cargo xtask stack test`",
        takes: &[Parameter::Node],
        needs: &[Need::Broker],
        ..info(
            Fault::NodeLost,
            Area::Broker,
            "node-lost",
            "one of three Kafka nodes is lost",
        )
    },
    FaultInfo {
        sometimes: "times that a leader moved",
        embedded: "all partitions get another leader, every so often",
        takes: &[Parameter::Every],
        needs: &[Need::Broker],
        ..info(
            Fault::LeadersMove,
            Area::Broker,
            "leaders-move",
            "other nodes lead the partitions, again and again",
        )
    },
    FaultInfo {
        sometimes: "answers that were lost",
        embedded: "one Produce or OffsetCommit in `one_in` is applied, and its connection cut before the answer",
        takes: &[Parameter::OneIn],
        needs: &[Need::Broker],
        ..info(
            Fault::AnswersLost,
            Area::Broker,
            "answers-lost",
            "Kafka has stored what a client sent, and the answer is lost",
        )
    },
    FaultInfo {
        sometimes: "connections cut",
        embedded: "one request in `one_in` is not applied, and its connection cut",
        takes: &[Parameter::OneIn],
        needs: &[Need::Broker],
        ..info(
            Fault::BrokerDisconnects,
            Area::Broker,
            "broker-disconnects",
            "connections to Kafka break, again and again",
        )
    },
    FaultInfo {
        sometimes: "requests that were never answered",
        embedded: "one node takes requests and answers none; connections that it has silenced stay silent until their clients give up",
        real: "SIGSTOP of a broker: `cargo xtask stack test`",
        takes: &[Parameter::Node],
        needs: &[Need::Broker],
        ..info(
            Fault::BrokerSilent,
            Area::Broker,
            "broker-silent",
            "a Kafka node takes requests and answers none",
        )
    },
    FaultInfo {
        always: "its stores sell on, its warehouses work on",
        sometimes: "places that were cut off, and partitions that another node had to lead",
        embedded: "its Kafka node is lost, its warehouses' queues are closed, its stores' lines are down",
        real: "`cargo xtask stack test` stops what it has of a data centre",
        takes: &[Parameter::DataCentre],
        needs: &[Need::Broker, Need::Queue],
        ..info(
            Fault::DataCentreLost,
            Area::DataCentre,
            "data-centre-lost",
            "a whole data centre is gone: Kafka node, queues, the lines of its stores",
        )
    },
    FaultInfo {
        always: "the verdict is printed, the exit status is not that of a whole run, the error names the file and what to do",
        sometimes: "files that could not be written",
        embedded: "no step: `--report` and `generate --out` on a device that is full",
        real: "the same",
        ..info(
            Fault::DiskFull,
            Area::Disk,
            "disk-full",
            "there is no room for the report, or for what `generate` writes",
        )
    },
];

/// Names in the order of [`FAULTS`].
pub static FAULT_NAMES: [&str; FAULTS_COUNT] = {
    let mut names = [""; FAULTS_COUNT];
    let mut index = 0;
    while index < FAULTS_COUNT {
        names[index] = FAULTS[index].name;
        index += 1;
    }
    names
};

const FAULTS_COUNT: usize = FAULTS.len();

impl Fault {
    pub fn info(self) -> &'static FaultInfo {
        &FAULTS[self as usize]
    }

    pub fn name(self) -> &'static str {
        self.info().name
    }

    pub fn from_name(name: &str) -> Option<Self> {
        FAULTS
            .iter()
            .find(|info| info.name == name)
            .map(|info| info.fault)
    }

    /// Whether a step of a scenario, or a key, can break it.
    pub fn is_step(self) -> bool {
        self != Self::DiskFull
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl de::Visitor<'_> for NameVisitor {
            type Value = Fault;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a fault")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Fault, E> {
                Fault::from_name(name).ok_or_else(|| E::unknown_variant(name, &FAULT_NAMES))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

impl JsonSchema for Fault {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Fault".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = FAULTS
            .iter()
            .filter(|info| info.fault.is_step())
            .map(|info| json_schema!({"const": info.name, "description": info.about}))
            .collect();
        json_schema!({"description": "Something that can break.", "oneOf": names})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_its_row_and_a_name_of_its_own() {
        for (index, info) in FAULTS.iter().enumerate() {
            assert_eq!(info.fault as usize, index, "{}", info.name);
            assert_eq!(Fault::from_name(info.name), Some(info.fault));
            let is_kebab = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
            assert!(info.name.bytes().all(is_kebab), "{}", info.name);
            for text in [info.about, info.sometimes, info.embedded, info.real] {
                assert!(!text.is_empty(), "{}", info.name);
            }
        }
    }
}
