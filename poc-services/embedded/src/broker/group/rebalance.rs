//! From one generation to the next: who is asked to join, who has come, which protocol they agree on.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::Group;
use crate::broker::membership::{Joined, State};

impl Group {
    pub(super) fn joined(&self, id: &StrBytes, with_members: bool) -> Joined {
        let protocol = self.protocol.clone();
        let members = if with_members {
            let name = protocol.clone().unwrap_or_default();
            self.members
                .iter()
                .map(|(id, m)| (id.clone(), m.instance.clone(), m.metadata(&name)))
                .collect()
        } else {
            Vec::new()
        };
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol,
            leader: self.leader.clone().unwrap_or_default(),
            member: id.clone(),
            members,
            skip_assignment: false,
        }
    }

    pub(super) fn begin_rebalance(&mut self, now: Instant) {
        if self.state == State::PreparingRebalance {
            return;
        }
        for member in self.members.values_mut() {
            if let Some(syncing) = member.syncing.take() {
                let _ = syncing.send(Err(ResponseError::RebalanceInProgress));
            }
        }
        self.state = State::PreparingRebalance;
        self.deadline = Some(self.rebalance_deadline(now));
        self.gather_until = None;
    }

    /// Whoever takes longest to join may take so long.
    fn rebalance_deadline(&self, now: Instant) -> Instant {
        let longest = self.members.values().map(|m| m.rebalance_timeout).max();
        now + longest.unwrap_or_default()
    }

    pub(super) fn complete_join_if_all_are_here(&mut self, now: Instant) {
        let all_here = self.pending.is_empty() && self.members.values().all(|m| m.joining.is_some());
        let gathering = self.gather_until.is_some_and(|until| now < until);
        if self.state == State::PreparingRebalance && all_here && !gathering {
            self.complete_join(now);
        }
    }

    /// Starts the next generation with whoever has joined.
    pub(super) fn complete_join(&mut self, now: Instant) {
        let missing: Vec<StrBytes> = self
            .members
            .iter()
            .filter(|(_, m)| m.joining.is_none() && m.instance.is_none())
            .map(|(id, _)| id.clone())
            .collect();
        for id in missing {
            self.forget(&id, ResponseError::UnknownMemberId);
        }
        self.gather_until = None;
        if self.members.is_empty() {
            self.become_empty();
            return;
        }
        if self.members.values().all(|m| m.joining.is_none()) {
            // Only static members, none of them here yet: they keep their places until their sessions end.
            self.deadline = Some(self.rebalance_deadline(now));
            return;
        }
        let leads = |id: &StrBytes| self.members.get(id).is_some_and(|m| m.joining.is_some());
        if !self.leader.as_ref().is_some_and(leads) {
            self.leader = self
                .members
                .iter()
                .find(|(_, m)| m.joining.is_some())
                .map(|(id, _)| id.clone());
        }
        self.generation += 1;
        self.protocol = self.vote();
        self.state = State::CompletingRebalance;
        self.deadline = Some(self.rebalance_deadline(now));
        let ids: Vec<StrBytes> = self.members.keys().cloned().collect();
        for id in ids {
            let joined = self.joined(&id, self.leader.as_ref() == Some(&id));
            let member = self.members.get_mut(&id).expect("the id is from the map");
            member.has_synced = false;
            member.assignment = Bytes::new();
            member.expires = now + member.session_timeout;
            if let Some(joining) = member.joining.take() {
                let _ = joining.send(Ok(joined));
            }
        }
    }

    /// The protocol that most members like best among those that all know.
    pub(super) fn vote(&self) -> Option<StrBytes> {
        let known_by_all = |name: &StrBytes| {
            self.members
                .values()
                .all(|m| m.protocols.iter().any(|(n, _)| n == name))
        };
        let mut votes: BTreeMap<StrBytes, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| known_by_all(name)) {
                *votes.entry(name.clone()).or_default() += 1;
            }
        }
        votes
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(name, _)| name)
    }

    pub(super) fn become_empty(&mut self) {
        if self.state != State::Empty {
            self.generation += 1;
        }
        self.state = State::Empty;
        self.protocol = None;
        self.leader = None;
        self.deadline = None;
        self.gather_until = None;
    }
}
