//! A world under construction: hosts, links, and what the checks may look at.

use std::{
    any::{Any, TypeId},
    collections::BTreeMap,
    sync::Arc,
    time::Duration,
};

use env::Env;
use faults::Port;

use crate::{host::Boot, net::LinkProfile};

/// What a scenario's setup fills: the hosts, the links between them, the exhibits for its checks.
pub struct World {
    pub(crate) hosts: Vec<(Arc<str>, Boot)>,
    pub(crate) links: BTreeMap<(String, String), LinkProfile>,
    pub(crate) peers: BTreeMap<String, Arc<dyn Port>>,
    pub(crate) published: BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { hosts: Vec::new(), links: BTreeMap::new(), peers: BTreeMap::new(), published: BTreeMap::new() }
    }

    /// Adds a host. `boot` is called at every start of its process, which lives until the returned future ends, or it is
    /// killed.
    ///
    /// # Panics
    /// When the name is taken.
    pub fn host<F>(&mut self, name: &str, boot: impl Fn(Env) -> F + Send + Sync + 'static) -> &mut Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        assert!(self.hosts.iter().all(|(taken, _)| **taken != *name), "two hosts are called {name:?}");
        self.hosts.push((name.into(), Arc::new(move |env| Box::pin(boot(env)))));
        self
    }

    /// Sets the latency between two hosts, both ways: whole milliseconds, uniform from `least` to `most`. Without it: 1
    /// to 5 ms.
    pub fn link(&mut self, a: &str, b: &str, least: Duration, most: Duration) -> &mut Self {
        for pair in [(a, b), (b, a)] {
            self.links.insert((pair.0.into(), pair.1.into()), LinkProfile { least, most });
        }
        self
    }

    /// Lets plans use the faults that the server on a host offers: `peer HOST …`.
    pub fn peer(&mut self, host: &str, port: Arc<dyn Port>) -> &mut Self {
        self.peers.insert(host.into(), port);
        self
    }

    /// Shows something to the checks, by its type; see `View::exhibit`.
    pub fn publish<T: Any + Send + Sync>(&mut self, exhibit: Arc<T>) -> &mut Self {
        self.published.insert(TypeId::of::<T>(), exhibit);
        self
    }
}
