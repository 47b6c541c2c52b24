//! A smaller plan that goes wrong in the same way.

use crate::plan::{Plan, Server};

/// Tries smaller plans as long as one of them still fails, `tries` at most.
pub fn shrink(plan: Plan, fails: &dyn Fn(&Plan) -> bool, mut tries: usize) -> Plan {
    let mut smallest = plan;
    loop {
        let mut found = false;
        let mut step = 0;
        while let Some(smaller) = smaller(&smallest, step) {
            if tries == 0 {
                return smallest;
            }
            tries -= 1;
            if fails(&smaller) {
                smallest = smaller;
                found = true;
            } else {
                step += 1;
            }
        }
        if !found {
            return smallest;
        }
    }
}

/// The `step`th way to make the plan smaller, large cuts first.
fn smaller(plan: &Plan, step: usize) -> Option<Plan> {
    ways(plan).into_iter().nth(step)
}

fn ways(plan: &Plan) -> Vec<Plan> {
    let mut ways = Vec::new();
    let mut way = |change: &dyn Fn(&mut Plan)| {
        let mut smaller = plan.clone();
        change(&mut smaller);
        ways.push(smaller);
    };
    for index in 0..plan.outsiders.len() {
        way(&|plan| {
            plan.outsiders[index].clear();
        });
    }
    for index in 0..plan.servers.len() {
        if !plan.servers[index].acts.is_empty() {
            way(&|plan| plan.servers[index].acts.clear());
        }
    }
    if let [.., last] = plan.servers.as_slice()
        && last.acts.is_empty()
        && plan.servers.len() > 1
        && plan.outsiders.iter().all(Vec::is_empty)
    {
        way(&|plan| drop(plan.servers.pop()));
    }
    if plan.outsiders.last().is_some_and(Vec::is_empty) {
        way(&|plan| drop(plan.outsiders.pop()));
    }
    for (from, to) in cuts(plan.turns.len()) {
        way(&|plan| drop(plan.turns.drain(from..to)));
    }
    for index in 0..plan.outsiders.len() {
        for (from, to) in cuts(plan.outsiders[index].len()) {
            way(&|plan| drop(plan.outsiders[index].drain(from..to)));
        }
    }
    for (index, server) in plan.servers.iter().enumerate() {
        for (from, to) in cuts(server.acts.len()) {
            way(&|plan| drop(plan.servers[index].acts.drain(from..to)));
        }
        simpler(server, &mut |change| {
            way(&|plan| change(&mut plan.servers[index]));
        });
    }
    for (from, to) in cuts(plan.messages.len().saturating_sub(1)) {
        way(&|plan| drop(plan.messages.drain(from..to)));
    }
    if plan.dead_records > 0 {
        way(&|plan| plan.dead_records = 0);
    }
    ways
}

type Change<'a> = &'a dyn Fn(&mut Server);

fn simpler(server: &Server, way: &mut dyn FnMut(Change<'_>)) {
    if server.dies_at.is_some() {
        way(&|server| server.dies_at = None);
    }
    if server.ends_badly {
        way(&|server| server.ends_badly = false);
    }
    if server.watches {
        way(&|server| server.watches = false);
    }
    if server.lag > 0 {
        way(&|server| server.lag = 0);
    }
    if server.slice < 1000 {
        way(&|server| server.slice = 1000);
    }
    if server.clients.len() > 1 {
        way(&|server| {
            server.clients.pop();
        });
    }
    for index in 0..server.acts.len() {
        if server.acts[index].after > 0 {
            way(&|server| server.acts[index].after = 0);
        }
    }
}

/// Halves, quarters and so on of so many things, and each of them.
fn cuts(length: usize) -> Vec<(usize, usize)> {
    let mut cuts = Vec::new();
    let mut size = length;
    while size > 0 {
        let starts = (0..length).step_by(size);
        cuts.extend(starts.map(|from| (from, (from + size).min(length))));
        size /= 2;
    }
    cuts
}
