//! A partition of another owner: waits until this host is to own it, and stands by for it if assigned to.

use super::around::Around;
use crate::job::jetstream::JetStream;
use crate::job::membership::Share;
use crate::job::processing::Processing;
use crate::job::recovery::Recovery;
use crate::job::standby::stand_by;
use crate::job::surroundings::Settings;

/// What a standby is, for the metrics.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    bytes: i64,
    is_level: bool,
}

impl Around<'_> {
    /// Waits until the partition is to be owned; false if the host stops before.
    pub(super) async fn is_to_own(
        &self,
        log: &JetStream,
        work: &mut Processing,
        settings: &Settings,
        standby: &mut Option<Recovery>,
    ) -> bool {
        let (lane, partition) = (self.lane, self.partition);
        if !lane.share.borrow().assigned.contains(&partition) {
            lane.set_trouble(partition, None);
        }
        let mut share = lane.share.clone();
        let assigned = share.wait_for(|share| share.assigned.contains(&partition));
        let is_to_own = tokio::select! {
            biased;
            () = lane.stopping() => false,
            assigned = assigned => assigned.is_ok(),
            () = self.stand_by_if_wanted(log, work, settings, standby) => false,
        };
        self.say(None);
        is_to_own
    }

    /// Never ends.
    async fn stand_by_if_wanted(
        &self,
        log: &JetStream,
        work: &mut Processing,
        settings: &Settings,
        standby: &mut Option<Recovery>,
    ) {
        let (lane, partition) = (self.lane, self.partition);
        let mut share = lane.share.clone();
        let is_wanted = |share: &Share| share.standby.contains(&partition);
        // A share may come between two looks at it: what is to be owned now is not dropped.
        let is_needed = |share: &Share| is_wanted(share) || share.assigned.contains(&partition);
        loop {
            if !is_needed(&share.borrow()) {
                *standby = None;
                work.close();
            }
            let is_there = standby.is_some();
            let next = |share: &Share| is_wanted(share) || is_there && !is_needed(share);
            match share.wait_for(next).await.map(|share| is_wanted(&share)) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(_) => return std::future::pending().await,
            }
            let mut released = share.clone();
            let released = async {
                // It is also released with all others.
                let _ = released.wait_for(|share| !is_wanted(share)).await;
            };
            tokio::select! {
                () = released => {}
                () = stand_by(log, work, self, settings, standby) => {}
            }
            self.say(None);
        }
    }

    pub(super) fn follows(&self, standby: &Recovery, bytes: usize) {
        let (bytes, is_level) = (i64::try_from(bytes).unwrap_or(i64::MAX), standby.is_level());
        self.say(Some(Standing { bytes, is_level }));
        let membership = &self.lane.membership;
        membership.set_standby(self.partition, Some(standby.log()));
    }

    fn say(&self, now: Option<Standing>) {
        let before = self.standing.replace(now);
        let metrics = &self.lane.shared.metrics;
        for (standing, sign) in [(before, -1), (now, 1)] {
            if let Some(standing) = standing {
                metrics.job_standbys.inc_by(sign);
                metrics
                    .job_standbys_level
                    .inc_by(sign * i64::from(standing.is_level));
                metrics
                    .job_standby_state_bytes
                    .inc_by(sign * standing.bytes);
            }
        }
        if before.is_some() && now.is_none() {
            self.lane.membership.set_standby(self.partition, None);
        }
    }
}
