//! Volumes of a pod: made ready in the background, tried again when something they wait for changes, kept up to date.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;

use super::super::gather::claims;
use super::super::volumes::payload::tokens_needed;
use super::super::volumes::{of_files, prepare};
use super::{Message, Missing, Volumes, Worker, disk_is_full};

impl Worker {
    /// Makes the volumes ready, or brings their files up to date, in the background.
    pub(super) fn prepare_volumes(&mut self) {
        if self.preparing {
            self.prepare_again = true;
            return;
        }
        if self.finished || self.facts.terminating {
            return;
        }
        self.preparing = true;
        let (context, pod, sender) = (Arc::clone(&self.context), Arc::clone(&self.pod), self.sender.clone());
        let (mut tokens, address, uid) = (self.tokens.clone(), self.address, self.uid.clone());
        let current = self.facts.volumes_ready.then(|| self.volumes.clone());
        tokio::spawn(async move {
            let renewed = tokens.renew(&context.client, &pod, crate::clock::now()).await;
            let claims = if current.is_some() {
                BTreeMap::new()
            } else {
                claims(&context.client, &pod).await
            };
            let known = tokens.tokens();
            let joined = tokio::task::spawn_blocking(move || {
                let placement = context.placement(address);
                let directory = context.pod_directory(&uid);
                let mut ready = current.clone().unwrap_or_default();
                let mut missing = Vec::new();
                for volume in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
                    let of_files = of_files(volume);
                    if current.is_some() && !of_files {
                        continue;
                    }
                    let needs_tokens = !tokens_needed(volume).is_empty();
                    let result = match &renewed {
                        Err(message) if needs_tokens => Err(message.clone()),
                        _ => prepare(&pod, volume, &placement, &context.configs, &known, &claims, &directory),
                    };
                    match result {
                        Ok(prepared) => drop(ready.insert(volume.name.clone(), prepared)),
                        Err(message) => missing.push((volume.name.clone(), message)),
                    }
                }
                if missing.is_empty() { Ok(ready) } else { Err(missing) }
            });
            let result = joined
                .await
                .unwrap_or_else(|error| Err(vec![(String::new(), error.to_string())]));
            let _ = sender.send(Message::Volumes(Box::new(result), tokens));
        });
    }

    pub(super) fn take_volumes(&mut self, result: Result<Volumes, Missing>) {
        let now = crate::clock::now();
        match result {
            Ok(volumes) => {
                self.volumes = volumes;
                self.facts.volumes_ready = true;
            }
            Err(missing) if !self.facts.volumes_ready && missing.iter().any(|(_, message)| disk_is_full(message)) => {
                let cause = missing.into_iter().find(|(_, message)| disk_is_full(message));
                self.evict_for_disk(&cause.map(|(_, message)| message).unwrap_or_default());
            }
            // Files of a running pod stay as they are when their source is gone, as on any node.
            Err(_) if self.facts.volumes_ready => {}
            Err(missing) if now >= self.complain_at => {
                for (volume, message) in missing {
                    let message = format!("MountVolume.SetUp failed for volume \"{volume}\" : {message}");
                    self.context.recorder.pod(&self.pod, true, "FailedMount", message);
                }
                // As a kubelet: after 500 ms, doubling up to two minutes.
                let pause = SignedDuration::from_millis(500) * 2_i32.saturating_pow(self.complaints.min(8));
                self.complaints += 1;
                self.complain_at = now + pause.min(SignedDuration::from_secs(122));
            }
            Err(_) => {}
        }
        if std::mem::take(&mut self.prepare_again) {
            self.prepare_volumes();
        }
    }
}
