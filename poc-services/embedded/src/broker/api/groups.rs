//! The requests of consumer groups, except their offsets.
//!
//! Invariant: a node answers only for groups that it coordinates at this moment.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    BrokerId, DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    FindCoordinatorRequest, FindCoordinatorResponse, GroupId, HeartbeatRequest, HeartbeatResponse,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest,
    ListGroupsResponse, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Context, code, text};
use crate::broker::cluster::Node;
use crate::broker::group::Group;
use crate::broker::membership::{Caller, Join, JoinRefused, Joined, State};
use crate::broker::wire::Header;

/// Whether this node may answer for a group.
pub fn check_coordinator(context: &Context, group: &str) -> Result<(), ResponseError> {
    if group.is_empty() {
        return Err(ResponseError::InvalidGroupId);
    }
    context.cluster.check_coordinator(context.node, group)
}

fn milliseconds(value: i32) -> Duration {
    Duration::from_millis(value.max(0) as u64)
}

pub async fn join(context: &Context, header: &Header, request: JoinGroupRequest) -> JoinGroupResponse {
    let version = header.version;
    let refused = |error: ResponseError, member: StrBytes| {
        JoinGroupResponse::default()
            .with_error_code(error.code())
            .with_generation_id(-1)
            .with_protocol_name(Some(StrBytes::default()).filter(|_| version < 7))
            .with_member_id(member)
    };
    if let Err(error) = check_coordinator(context, &request.group_id) {
        return refused(error, request.member_id);
    }
    let session_timeout = milliseconds(request.session_timeout_ms);
    let limits = &context.cluster.limits;
    if !(limits.session_timeout_min..=limits.session_timeout_max).contains(&session_timeout) {
        return refused(ResponseError::InvalidSessionTimeout, request.member_id);
    }
    let rebalance_timeout = if version >= 1 {
        milliseconds(request.rebalance_timeout_ms)
    } else {
        session_timeout
    };
    let unique = context.cluster.new_uuid();
    let prefix = request.group_instance_id.as_ref().unwrap_or(&header.client_id);
    let join = Join {
        caller: Caller {
            member: request.member_id,
            instance: request.group_instance_id.clone(),
        },
        client_id: header.client_id.to_string(),
        client_host: format!("/{}", context.peer),
        session_timeout,
        rebalance_timeout,
        protocol_type: request.protocol_type,
        protocols: request
            .protocols
            .into_iter()
            .map(|protocol| (protocol.name, protocol.metadata))
            .collect(),
        new_member: text(format!("{prefix}-{unique}")),
        requires_known_member: version >= 4,
        can_skip_assignment: version >= 9,
    };
    let answer = context.cluster.coordinator.join(&request.group_id, join).await;
    match answer {
        Ok(Ok(joined)) => join_response(version, joined),
        Ok(Err(JoinRefused { error, member })) => refused(error, member),
        // The member was replaced by a newer request of its own.
        Err(_) => refused(ResponseError::UnknownMemberId, StrBytes::default()),
    }
}

fn join_response(version: i16, joined: Joined) -> JoinGroupResponse {
    let members = joined.members.into_iter().map(|(id, instance, metadata)| {
        let member = JoinGroupResponseMember::default()
            .with_member_id(id)
            .with_metadata(metadata);
        member.with_group_instance_id(instance.filter(|_| version >= 5))
    });
    JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_type(joined.protocol_type.filter(|_| version >= 7))
        .with_protocol_name(joined.protocol)
        .with_leader(joined.leader)
        .with_skip_assignment(version >= 9 && joined.skip_assignment)
        .with_member_id(joined.member)
        .with_members(members.collect())
}

pub async fn sync(context: &Context, request: SyncGroupRequest) -> SyncGroupResponse {
    let refused = |error: ResponseError| SyncGroupResponse::default().with_error_code(error.code());
    if let Err(error) = check_coordinator(context, &request.group_id) {
        return refused(error);
    }
    let caller = Caller {
        member: request.member_id,
        instance: request.group_instance_id,
    };
    let assignments: Vec<(StrBytes, Bytes)> = request
        .assignments
        .into_iter()
        .map(|given| (given.member_id, given.assignment))
        .collect();
    let protocol = (request.protocol_type.as_ref(), request.protocol_name.as_ref());
    let answer = context.cluster.coordinator.sync(&request.group_id, |group, now| {
        group.sync(&caller, request.generation_id, protocol, assignments, now)
    });
    let answer = match answer {
        Ok(answer) => answer.await.unwrap_or(Err(ResponseError::UnknownMemberId)),
        Err(error) => Err(error),
    };
    match answer {
        Ok(synced) => SyncGroupResponse::default()
            .with_protocol_type(synced.protocol_type)
            .with_protocol_name(synced.protocol)
            .with_assignment(synced.assignment),
        Err(error) => refused(error),
    }
}

pub fn heartbeat(context: &Context, request: &HeartbeatRequest) -> HeartbeatResponse {
    let caller = Caller {
        member: request.member_id.clone(),
        instance: request.group_instance_id.clone(),
    };
    let beaten = check_coordinator(context, &request.group_id).and_then(|()| {
        let coordinator = &context.cluster.coordinator;
        coordinator.with_group(&request.group_id, |group, now| {
            group.heartbeat(&caller, request.generation_id, now)
        })
    });
    HeartbeatResponse::default().with_error_code(code(&beaten))
}

pub fn leave(context: &Context, header: &Header, request: &LeaveGroupRequest) -> LeaveGroupResponse {
    if let Err(error) = check_coordinator(context, &request.group_id) {
        return LeaveGroupResponse::default().with_error_code(error.code());
    }
    let leave = |caller: &Caller| {
        code(
            &context
                .cluster
                .coordinator
                .with_group(&request.group_id, |group, now| group.leave(caller, now)),
        )
    };
    if header.version < 3 {
        let caller = Caller {
            member: request.member_id.clone(),
            instance: None,
        };
        return LeaveGroupResponse::default().with_error_code(leave(&caller));
    }
    let members = request.members.iter().map(|member| {
        let caller = Caller {
            member: member.member_id.clone(),
            instance: member.group_instance_id.clone(),
        };
        MemberResponse::default()
            .with_error_code(leave(&caller))
            .with_member_id(member.member_id.clone())
            .with_group_instance_id(member.group_instance_id.clone())
    });
    LeaveGroupResponse::default().with_members(members.collect())
}

pub fn describe(
    context: &Context,
    header: &Header,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let describe = |id: GroupId| {
        let described = DescribedGroup::default();
        if let Err(error) = check_coordinator(context, &id) {
            return described.with_group_id(id).with_error_code(error.code());
        }
        let found = context
            .cluster
            .coordinator
            .inspect(&id, |group| describe_group(group, header.version));
        let described = found.unwrap_or_else(|| {
            let dead = described.with_group_state(StrBytes::from_static_str("Dead"));
            if header.version < 6 {
                return dead;
            }
            dead.with_error_code(ResponseError::GroupIdNotFound.code())
                .with_error_message(Some(text(format!("Group {} not found.", id.as_str()))))
        });
        described.with_group_id(id)
    };
    DescribeGroupsResponse::default().with_groups(request.groups.into_iter().map(describe).collect())
}

fn describe_group(group: &Group, version: i16) -> DescribedGroup {
    let protocol = group.protocol.clone().unwrap_or_default();
    let members = group.members.iter().map(|(id, member)| {
        let (metadata, assignment) = match group.state {
            State::Stable => (member.metadata(&protocol), member.assignment.clone()),
            _ => (Bytes::new(), Bytes::new()),
        };
        DescribedGroupMember::default()
            .with_member_id(id.clone())
            .with_group_instance_id(member.instance.clone().filter(|_| version >= 4))
            .with_client_id(text(member.client_id.clone()))
            .with_client_host(text(member.client_host.clone()))
            .with_member_metadata(metadata)
            .with_member_assignment(assignment)
    });
    DescribedGroup::default()
        .with_group_state(StrBytes::from_static_str(group.state.name()))
        .with_protocol_type(group.protocol_type.clone().unwrap_or_default())
        .with_protocol_data(if group.state == State::Stable {
            protocol.clone()
        } else {
            StrBytes::default()
        })
        .with_members(members.collect())
}

/// Each node lists the groups that it coordinates.
pub fn list(context: &Context, header: &Header, request: &ListGroupsRequest) -> ListGroupsResponse {
    let wanted = |filter: &[StrBytes], name: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
    };
    let groups = context.cluster.coordinator.list().into_iter().filter(|group| {
        check_coordinator(context, &group.id).is_ok()
            && wanted(&request.states_filter, group.state.name())
            && wanted(&request.types_filter, "classic")
    });
    let listed = groups.map(|group| {
        let listed = ListedGroup::default()
            .with_group_id(GroupId(text(group.id)))
            .with_protocol_type(text(group.protocol_type));
        let listed = if header.version >= 4 {
            listed.with_group_state(StrBytes::from_static_str(group.state.name()))
        } else {
            listed
        };
        if header.version >= 5 {
            listed.with_group_type(StrBytes::from_static_str("classic"))
        } else {
            listed
        }
    });
    ListGroupsResponse::default().with_groups(listed.collect())
}

pub fn delete(context: &Context, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let results = request.groups_names.into_iter().map(|id| {
        let deleted =
            check_coordinator(context, &id).and_then(|()| context.cluster.coordinator.delete_group(&id));
        DeletableGroupResult::default()
            .with_error_code(code(&deleted))
            .with_group_id(id)
    });
    DeleteGroupsResponse::default().with_results(results.collect())
}

pub fn find_coordinator(
    context: &Context,
    header: &Header,
    request: &FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let find = |key: &str| -> Result<&Node, ResponseError> {
        // 0 is a group, 1 a transactional id; share groups (2) are not served.
        if !matches!(request.key_type, 0 | 1) {
            return Err(ResponseError::InvalidRequest);
        }
        context.cluster.coordinator_of(key)
    };
    if header.version < 4 {
        return match find(&request.key) {
            Ok(node) => FindCoordinatorResponse::default()
                .with_node_id(BrokerId(node.id))
                .with_host(text(node.address.ip().to_string()))
                .with_port(i32::from(node.address.port())),
            Err(error) => FindCoordinatorResponse::default()
                .with_error_code(error.code())
                .with_node_id(BrokerId(-1))
                .with_port(-1),
        };
    }
    let coordinators = request.coordinator_keys.iter().map(|key| {
        let coordinator = Coordinator::default().with_key(key.clone());
        match find(key) {
            Ok(node) => coordinator
                .with_node_id(BrokerId(node.id))
                .with_host(text(node.address.ip().to_string()))
                .with_port(i32::from(node.address.port())),
            Err(error) => coordinator
                .with_error_code(error.code())
                .with_node_id(BrokerId(-1))
                .with_port(-1),
        }
    });
    FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
}
