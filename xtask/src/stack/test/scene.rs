//! One run of a case: servers, services, load, the fault, the verdict.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use super::cases::Case;
use super::cluster;
use super::load::{self, Audited, Load};
use super::services::{Instance, Profile, Service};
use crate::stack::state::State;
use crate::stack::{Stack, fetch, ports};

/// How long anything may take that has to come true; the machine may be busy.
pub const WARMUP: Duration = Duration::from_mins(2);
/// And a whole run.
pub const WHOLE: Duration = Duration::from_mins(10);
/// Transactions before the fault: everything is warm and under way.
const BEFORE: u64 = 600;
/// Load on a system that is whole again, so that what a fault left behind in it has something to go wrong with.
const BEHIND: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(200);

/// Something that must have been seen to happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub what: String,
    pub seen: bool,
}

impl Fault {
    pub fn new(what: impl Into<String>, seen: bool) -> Self {
        Self {
            what: what.into(),
            seen,
        }
    }
}

/// What came of a run.
pub struct Done {
    pub audited: Audited,
    pub sometimes: Vec<Fault>,
    /// Services that nobody killed and that were gone: a sentence each.
    pub ended: Vec<String>,
    pub took: Took,
}

/// Seconds of each part of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    /// Until it traded.
    pub start: f64,
    /// Until all was mended.
    pub fault: f64,
    /// Until the verdict.
    pub verdict: f64,
}

impl Done {
    pub fn holds(&self) -> bool {
        self.audited.holds() && self.ended.is_empty() && self.sometimes.iter().all(|fault| fault.seen)
    }
}

pub struct Scene<'a> {
    stack: &'a Stack,
    state: State,
    profile: Profile,
    java: PathBuf,
    folder: PathBuf,
    gateway: u16,
    /// Those that faults are for, and those beside them.
    services: BTreeMap<Service, Instance>,
    seconds: Vec<(Service, Instance)>,
    ended: Vec<String>,
    starts: u32,
}

impl<'a> Scene<'a> {
    /// One run with its fault, so many times one after the other, and one verdict on all of it.
    pub fn play(stack: &'a Stack, profile: Profile, case: &Case, seed: u64, rounds: u32) -> Result<Done> {
        let began = Instant::now();
        let mut took = Took::default();
        let state = stack.up()?;
        let folder = state.scratch.join(format!("{}-{seed}", case.name));
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let mut scene = Self {
            stack,
            state,
            profile,
            java: fetch::java()?,
            folder,
            gateway: ports::free(1)?[0],
            services: BTreeMap::new(),
            seconds: Vec::new(),
            ended: Vec::new(),
            starts: 0,
        };
        let mut load = scene.start_load(seed)?;
        // It deletes the topics of the run before and makes them anew: services come after that.
        load.wait_for("opening", 0)?;
        for service in Service::ALL {
            scene.start_service(service, "1")?;
        }
        load.wait_for("running", BEFORE)?;
        took.start = began.elapsed().as_secs_f64();
        let mut sometimes = Vec::new();
        for round in 1..=rounds {
            let seen = (case.fault)(&mut scene);
            // Whatever the fault left standing still or dead: the verdict is about what comes of it when all is mended.
            let mended = scene.mend();
            let seen = seen.with_context(|| format!("round {round}, logs in {}", scene.folder.display()))?;
            mended?;
            let in_round = |mut fault: Fault| {
                if rounds > 1 {
                    fault.what = format!("round {round}: {}", fault.what);
                }
                fault
            };
            let went_on = Fault::new("the load went on over the whole fault", load.is_running());
            sometimes.extend(seen.into_iter().chain([went_on]).map(in_round));
            some_time(BEHIND);
        }
        took.fault = began.elapsed().as_secs_f64() - took.start;
        load.stop()?;
        let audited = load
            .finish()
            .with_context(|| format!("logs in {}", scene.folder.display()))?;
        took.verdict = began.elapsed().as_secs_f64() - took.start - took.fault;
        // One that ended behind the last fault was not found by any mending.
        let services = scene.services.iter();
        let ended = services.filter_map(|(service, instance)| ended_by_itself(*service, instance));
        scene.ended.extend(ended);
        Ok(Done {
            audited,
            sometimes,
            ended: scene.ended,
            took,
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.profile.program());
        command.envs(self.state.variables());
        command
    }

    fn start_load(&self, seed: u64) -> Result<Load> {
        let scenario = self.folder.join("under-attack.yaml");
        fs::write(&scenario, load::SCENARIO).with_context(|| scenario.display().to_string())?;
        let mut command = self.command();
        command
            .arg("run")
            .arg(scenario)
            .args([
                "--headless",
                "--json",
                "--fresh",
                "--services",
                "outside",
                "--seed",
            ])
            .arg(seed.to_string())
            .args([
                "--kafka",
                &self.state.bootstrap(),
                "--amqp",
                &self.state.amqp_url(),
            ])
            .args(["--gateway", &format!("http://127.0.0.1:{}", self.gateway)]);
        Load::start(command, &self.folder)
    }

    fn new_instance(&mut self, service: Service, instance: &str, port: u16) -> Result<Instance> {
        self.starts += 1;
        let mut command = self.command();
        command.args(["--log", "warn", "serve", service.name()]).args([
            "--kafka",
            &self.state.bootstrap(),
            "--instance",
            instance,
        ]);
        match service {
            Service::StoreGateway => {
                command.args(["--listen", &format!("127.0.0.1:{port}")]);
            }
            Service::MqSource => {
                command
                    .args(["--amqp", &self.state.amqp_url()])
                    .args(["--warehouses", &load::WAREHOUSES.to_string()]);
            }
            Service::Normaliser | Service::Inventory | Service::Reconciler => {}
        }
        let log = self
            .folder
            .join(format!("{}.{}.log", service.name(), self.starts));
        Instance::start(command, log).with_context(|| service.name())
    }

    pub fn start_service(&mut self, service: Service, instance: &str) -> Result<()> {
        let started = self.new_instance(service, instance, self.gateway)?;
        if let Some(former) = self.services.insert(service, started) {
            self.ended.extend(ended_by_itself(service, &former));
        }
        Ok(())
    }

    /// A second instance beside the first; the name finds its figures.
    pub fn start_second(&mut self, service: Service) -> Result<usize> {
        let started = self.new_instance(service, "2", self.gateway)?;
        self.seconds.push((service, started));
        Ok(self.seconds.len() - 1)
    }

    fn service(&mut self, service: Service) -> Result<&mut Instance> {
        self.services
            .get_mut(&service)
            .with_context(|| format!("{} does not run", service.name()))
    }

    pub fn kill_service(&mut self, service: Service) -> Result<bool> {
        self.service(service)?.kill()
    }

    pub fn signal_service(&mut self, service: Service, signal: &str) -> Result<()> {
        self.service(service)?.identity.signal(signal)
    }

    pub fn service_stands_still(&mut self, service: Service) -> Result<bool> {
        let instance = self.service(service)?;
        Ok(waited(|| instance.stands_still()))
    }

    pub fn metric(&mut self, service: Service, name: &str) -> Result<u64> {
        self.service(service)?.metric(service, name)
    }

    /// Waits until a figure is at least that; `false`: it never was.
    pub fn metric_reaches(&mut self, service: Service, name: &str, least: u64) -> Result<bool> {
        let instance = self.service(service)?;
        // Once with its error; then a service that is busy may also not answer.
        instance.metric(service, name)?;
        Ok(waited(|| {
            instance.metric(service, name).is_ok_and(|value| value >= least)
        }))
    }

    /// The same of a second instance.
    pub fn metric_of(&mut self, second: usize, name: &str, least: u64) -> Result<bool> {
        let (service, instance) = self.seconds.get_mut(second).context("it was not started")?;
        instance.metric(*service, name)?;
        Ok(waited(|| {
            instance.metric(*service, name).is_ok_and(|value| value >= least)
        }))
    }

    pub fn end_server(&mut self, name: &str) -> Result<()> {
        self.running(name)?.end()
    }

    pub fn signal_server(&mut self, name: &str, signal: &str) -> Result<()> {
        self.running(name)?.signal(signal)
    }

    fn running(&self, name: &str) -> Result<&crate::stack::process::Identity> {
        let running = self.state.running.get(name);
        running
            .map(|running| &running.identity)
            .with_context(|| format!("{name} does not run"))
    }

    /// Brings back what has died, and waits until it is ready.
    pub fn start_servers(&mut self) -> Result<()> {
        self.state = self.stack.up()?;
        Ok(())
    }

    /// Addresses of the nodes that can answer.
    fn answering(&self, without: Option<usize>) -> String {
        let ports = self.state.brokers.iter().enumerate();
        let addresses: Vec<_> = ports
            .filter(|(index, _)| Some(index + 1) != without)
            .map(|(_, port)| format!("127.0.0.1:{port}"))
            .collect();
        addresses.join(",")
    }

    fn partition(&self, without: Option<usize>) -> Result<cluster::Partition> {
        let cache = self.stack.cache();
        cluster::partition(&cache, &self.java, &self.answering(without), "movements")
    }

    /// The node that leads the first partition of the movements.
    pub fn leader(&self) -> Result<usize> {
        self.partition(None)?.leader.context("movements[0] has no leader")
    }

    pub fn leader_moves_from(&self, node: usize) -> bool {
        waited(|| {
            self.partition(Some(node))
                .is_ok_and(|partition| partition.leader.is_some_and(|leader| leader != node))
        })
    }

    pub fn in_sync(&self, node: usize) -> bool {
        waited(|| {
            self.partition(None)
                .is_ok_and(|partition| partition.in_sync.contains(&node))
        })
    }

    pub fn controller(&self) -> Result<usize> {
        cluster::controller(&self.stack.cache(), &self.java, &self.state.bootstrap())
    }

    pub fn controller_is_not(&self, node: usize) -> bool {
        waited(|| {
            cluster::controller(&self.stack.cache(), &self.java, &self.answering(Some(node)))
                .is_ok_and(|controller| controller != node)
        })
    }

    /// Nothing stands still, nothing is missing, nothing is there twice.
    fn mend(&mut self) -> Result<()> {
        for running in self.state.running.values() {
            if running.identity.is_alive() {
                running.identity.signal("CONT")?;
            }
        }
        self.start_servers()?;
        for service in Service::ALL {
            let alive = self.service(service)?.identity.is_alive();
            if alive {
                self.signal_service(service, "CONT")?;
            } else {
                self.start_service(service, "1")?;
            }
        }
        // They die as services do, without a word to their group.
        for (service, second) in self.seconds.drain(..) {
            self.ended.extend(ended_by_itself(service, &second));
        }
        for name in State::servers() {
            ensure!(self.state.is_alive(&name), "{name} does not run");
        }
        Ok(())
    }
}

/// That a service is gone though no case killed it; a case that stops one lets it live.
fn ended_by_itself(service: Service, instance: &Instance) -> Option<String> {
    let log = instance.ended_by_itself()?;
    Some(format!(
        "{} ended by itself, its log is {}",
        service.name(),
        log.display()
    ))
}

/// Lets the load run on, with whatever is broken.
pub fn some_time(time: Duration) {
    std::thread::sleep(time);
}

/// Looks until it is true, for as long as anything may take.
fn waited(mut what: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + WARMUP;
    while !what() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    true
}
