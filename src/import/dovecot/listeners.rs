//! Where clients and Postfix connect.

use super::effective::Effective;
use super::language::{Block, DovecotSetting};
use super::rest::Protocols;
use crate::config::{Config, Endpoint};
use crate::import::Place;
use crate::import::draft::ImportDraft;

/// Listeners of one kind, as `listen.imap` takes them.
#[derive(Default)]
struct Listeners {
    imap: Vec<String>,
    imaps: Vec<String>,
    imap_proxy: Vec<String>,
    imaps_proxy: Vec<String>,
}

pub(super) fn translate(found: &Effective<'_>, protocols: &Protocols, draft: &mut ImportDraft) {
    let addresses = found.get("listen");
    let mut place = addresses.map_or(Place::start(""), |setting| setting.place.clone());
    if !protocols.has_imap {
        draft.set("listen.imap", "", &protocols.place);
        draft.set("listen.imaps", "", &protocols.place);
        draft.note(
            "protocols",
            &protocols.place,
            "Dovecot does not serve IMAP, so nothing is listened on",
        );
        return;
    }
    let everywhere = addresses.map_or("*, ::", |setting| setting.value.as_str());
    let without_tls = found.text("ssl") == Some("no");
    let mut listeners = Listeners::default();
    let (mut has_imap, mut has_imaps) = (false, false);
    let services = found.root.blocks_of("service");
    for service in services.filter(|service| service.argument == "imap-login") {
        for block in service.blocks_of("inet_listener") {
            has_imap |= block.argument == "imap";
            has_imaps |= block.argument == "imaps";
            place = block.place.clone();
            take(block, everywhere, &mut listeners, draft);
        }
    }
    if !has_imap {
        listeners
            .imap
            .extend(endpoints(everywhere, "143", &place, draft));
    }
    if !has_imaps {
        listeners
            .imaps
            .extend(endpoints(everywhere, "993", &place, draft));
    }
    if without_tls {
        listeners.imaps.clear();
        listeners.imaps_proxy.clear();
    }
    let usual = Config::default();
    for (name, list, usual) in [
        ("listen.imap", &listeners.imap, usual.listen_imap),
        ("listen.imaps", &listeners.imaps, usual.listen_imaps),
        ("listen.imap_proxy", &listeners.imap_proxy, Vec::new()),
        ("listen.imaps_proxy", &listeners.imaps_proxy, Vec::new()),
    ] {
        let is_usual = |endpoint: &Endpoint| *list == [format!("*:{}", endpoint.port)];
        let is_default = match list.is_empty() {
            true => usual.is_empty(),
            false => usual.iter().any(is_usual),
        };
        if !is_default {
            draft.set(name, &list.join(" "), &place);
        }
    }
    if let Some(proxies) = found.get("haproxy_trusted_networks") {
        let behind = listeners.imap_proxy.len() + listeners.imaps_proxy.len() > 0;
        if behind {
            let list: Vec<&str> = proxies.words().collect();
            draft.set("listen.trusted_proxies", &list.join(" "), &proxies.place);
        }
    }
}

fn take(block: &Block, everywhere: &str, listeners: &mut Listeners, draft: &mut ImportDraft) {
    let usual = match block.argument.as_str() {
        "imap" => "143",
        "imaps" => "993",
        _ => "0",
    };
    let port = block.text("port").unwrap_or(usual);
    if port == "0" {
        return;
    }
    let own = block.text("address").or(block.text("listen"));
    let addresses = own.filter(|own| !own.is_empty()).unwrap_or(everywhere);
    let tls = block
        .get("ssl")
        .map_or(block.argument == "imaps", DovecotSetting::is_yes);
    let endpoints = endpoints(addresses, port, &block.place, draft);
    match (tls, block.says_yes("haproxy")) {
        (false, false) => listeners.imap.extend(endpoints),
        (true, false) => listeners.imaps.extend(endpoints),
        (false, true) => listeners.imap_proxy.extend(endpoints),
        (true, true) => listeners.imaps_proxy.extend(endpoints),
    }
}

/// `*, ::` and a port, as Roost writes them.
fn endpoints(addresses: &str, port: &str, place: &Place, draft: &mut ImportDraft) -> Vec<String> {
    let words = addresses.split(|c: char| c == ',' || c.is_whitespace());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let has = |address: &str| words.contains(&address);
    if has("*") && (has("::") || has("[::]")) {
        return vec![format!("*:{port}")];
    }
    let mut endpoints = Vec::new();
    for word in words {
        let bare = word.trim_start_matches('[').trim_end_matches(']');
        endpoints.push(match (bare, bare.parse::<core::net::IpAddr>()) {
            ("*", _) => format!("0.0.0.0:{port}"),
            (_, Ok(address)) if address.is_ipv4() => format!("{address}:{port}"),
            (_, Ok(address)) => format!("[{address}]:{port}"),
            (name, Err(_)) => {
                let text = format!(
                    "\"{name}\" is no address; name the address in listen.imap and listen.imaps"
                );
                draft.lost("listen", place, text);
                continue;
            }
        });
    }
    endpoints
}

/// The socket on which Postfix asks for passwords.  A Dovecot that stays goes on answering there.
pub(super) fn sasl(found: &Effective<'_>, dovecot_stays: bool, draft: &mut ImportDraft) {
    let services = found.root.blocks_of("service");
    let services = services.filter(|service| service.argument == "auth");
    let sockets = services.flat_map(|service| service.blocks());
    let mut first = true;
    for socket in sockets {
        let path = socket.text("path").unwrap_or(&socket.argument);
        match socket.kind.as_str() {
            "inet_listener" => {
                draft.note(
                    "service auth",
                    &socket.place,
                    "Roost answers Postfix on a socket in the file system only, and not by TCP",
                );
                continue;
            }
            "unix_listener" if path.starts_with('/') && !is_internal(path) => {}
            _ => continue,
        }
        if dovecot_stays {
            let text = format!(
                "Dovecot stays, and goes on answering Postfix on {path}; if it goes one day, set listen.sasl = \
                 \"{path}\""
            );
            draft.note("service auth", &socket.place, text);
            continue;
        }
        if !std::mem::take(&mut first) {
            let text = format!("Roost has one such socket, and this is another: {path}");
            draft.note("service auth", &socket.place, text);
            continue;
        }
        draft.set("listen.sasl", path, &socket.place);
        let mode = socket.text("mode").filter(|mode| !mode.is_empty());
        draft.set("listen.sasl_mode", mode.unwrap_or("0600"), &socket.place);
        let or_root = |name: &str| {
            let value = socket.text(name).filter(|value| !value.is_empty());
            String::from(value.unwrap_or("root"))
        };
        let owner = format!("{}:{}", or_root("user"), or_root("group"));
        draft.set("listen.sasl_owner", &owner, &socket.place);
    }
}

/// Sockets for Dovecot's own programs.
fn is_internal(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    [
        "auth-userdb",
        "auth-master",
        "auth-worker",
        "auth-login",
        "auth-token",
        "auth-stats",
    ]
    .iter()
    .any(|internal| name.starts_with(internal))
}
