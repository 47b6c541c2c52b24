//! What all clients together were told of UIDs.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub struct Registry {
    validity: Option<u32>,
    serials: BTreeMap<u32, u32>,
    uids: BTreeMap<u32, BTreeSet<u32>>,
}

impl Registry {
    /// A client was told UIDVALIDITY.
    pub fn select(&mut self, validity: u32) -> Result<(), String> {
        let known = *self.validity.get_or_insert(validity);
        match known == validity {
            true => Ok(()),
            false => Err(format!("UIDVALIDITY was {known} and is {validity}")),
        }
    }

    /// A client found that text under that UID.  The message came to the folder so many times.
    pub fn learn(&mut self, uid: u32, serial: u32, arrivals: usize) -> Result<(), String> {
        let known = *self.serials.entry(uid).or_insert(serial);
        if known != serial {
            return Err(format!("UID {uid} was message {known} and is {serial}"));
        }
        let uids = self.uids.entry(serial).or_default();
        uids.insert(uid);
        match uids.len() > arrivals.max(1) {
            true => Err(format!("message {serial} has had the UIDs {uids:?}")),
            false => Ok(()),
        }
    }

    pub fn serial(&self, uid: u32) -> Option<u32> {
        self.serials.get(&uid).copied()
    }
}
