//! Authorities and certificates of the webhook's server, and when which is made.
//!
//! An authority is replaced in three steps with a pause after each, so that at every moment every API server trusts whatever any operator
//! serves: first it is trusted besides the old one, then the certificate is its own, then the old one is forgotten.

use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;

/// How far the clock of an API server may be behind ours.
const CLOCK_ERROR: SignedDuration = SignedDuration::from_mins(5);
const END: &str = "-----END CERTIFICATE-----";

/// Life of the certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long authorities and certificates are valid.
    pub lifetime: SignedDuration,
    /// How long before their end new ones are made.
    pub renew_before: SignedDuration,
    /// Pause after each step, in which every API server and operator learns of it. Operators look four times as often.
    pub settle: SignedDuration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            lifetime: SignedDuration::from_hours(365 * 24),
            renew_before: SignedDuration::from_hours(30 * 24),
            settle: SignedDuration::from_mins(4),
        }
    }
}

impl Terms {
    /// Fails when a rotation would not be over before the old certificates end.
    ///
    /// # Errors
    /// What to change.
    pub fn check(&self) -> Result<(), String> {
        if !self.settle.is_positive() || self.renew_before < self.settle * 4 || self.lifetime <= self.renew_before {
            return Err(format!(
                "certificates with lifetime {:#}, renewed {:#} before their end, with pauses of {:#}, would end during a rotation; \
                 the lifetime must be longer than the time before the end, and that at least four pauses",
                self.lifetime, self.renew_before, self.settle
            ));
        }
        Ok(())
    }
}

/// Why certificates cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// They cannot be made.
    #[error("a certificate cannot be made: {0}")]
    Making(#[from] rcgen::Error),
    /// They cannot be read.
    #[error("{part} cannot be read: {cause}")]
    Reading {
        /// Which part of the Secret.
        part: &'static str,
        /// Why.
        cause: String,
    },
}

/// What the Secret holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Trusted authorities, the oldest first, each in PEM.
    pub authorities: Vec<String>,
    /// Key of the newest authority, in PEM.
    pub authority_key: String,
    /// The server's certificate, in PEM.
    pub certificate: String,
    /// Its key, in PEM.
    pub key: String,
    /// When the last step was taken.
    pub changed: Timestamp,
}

/// What is known of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Whose it is.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// Names of servers in it, sorted.
    pub names: Vec<String>,
}

/// What [`decide`] looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Trusted authorities, the oldest first; never none.
    pub authorities: Vec<Known>,
    /// The server's certificate.
    pub serving: Known,
    /// When the last step was taken.
    pub changed: Timestamp,
    /// Whether the configurations trust all these authorities.
    pub injected: bool,
}

/// What is to be done with the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Keep,
    /// Everything is made again: there is nothing that works.
    Create,
    /// A new authority is trusted besides the old one.
    Trust,
    /// The certificate is made again by the newest authority.
    Issue,
    /// Older authorities are not trusted any more.
    Forget,
}

impl Step {
    /// As metrics name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Create => "create",
            Self::Trust => "trust",
            Self::Issue => "issue",
            Self::Forget => "forget",
        }
    }
}

/// The next step, by what the Secret holds (none: nothing that can be read).
#[must_use]
pub fn decide(facts: Option<&Facts>, names: &[String], now: Timestamp, terms: &Terms) -> Step {
    let Some(facts) = facts else { return Step::Create };
    let Some(newest) = facts.authorities.last() else {
        return Step::Create;
    };
    let serving = &facts.serving;
    let issuer = facts.authorities.iter().find(|known| known.subject == serving.issuer);
    let Some(issuer) = issuer.filter(|issuer| issuer.not_after > now && serving.not_after > now) else {
        return Step::Create;
    };
    let settled = now.duration_since(facts.changed) >= terms.settle;
    let ends = |known: &Known| known.not_after.duration_since(now) <= terms.renew_before;
    if newest.subject != issuer.subject {
        return if settled && facts.injected {
            Step::Issue
        } else {
            Step::Keep
        };
    }
    if names.iter().any(|name| !serving.names.contains(name)) {
        return Step::Issue;
    }
    match facts.authorities.len() > 1 {
        true if settled => Step::Forget,
        true => Step::Keep,
        false if ends(newest) => Step::Trust,
        false if ends(serving) => Step::Issue,
        false => Step::Keep,
    }
}

/// Takes a step. Keys are random, everything else follows from the arguments.
///
/// # Errors
/// What cannot be made, or is not there to make it of.
pub fn take(
    step: Step,
    old: Option<&Bundle>,
    names: &[String],
    now: Timestamp,
    terms: &Terms,
) -> Result<Bundle, CertificateError> {
    let (Some(old), true) = (old, step != Step::Create) else {
        let (authority, authority_key) = new_authority(now, terms)?;
        let (certificate, key) = issue(&authority, &authority_key, names, now, terms)?;
        return Ok(Bundle {
            authorities: vec![authority],
            authority_key,
            certificate,
            key,
            changed: now,
        });
    };
    let mut new = Bundle {
        changed: now,
        ..old.clone()
    };
    match step {
        Step::Trust => {
            let (authority, key) = new_authority(now, terms)?;
            new.authorities.push(authority);
            new.authority_key = key;
        }
        Step::Issue => {
            let authority = new.authorities.last().map(String::as_str).unwrap_or_default();
            (new.certificate, new.key) = issue(authority, &new.authority_key, names, now, terms)?;
        }
        Step::Forget => {
            let older = new.authorities.len().saturating_sub(1);
            new.authorities.drain(..older);
        }
        Step::Keep | Step::Create => {}
    }
    Ok(new)
}

impl Bundle {
    /// All trusted authorities, as `caBundle` and `ca.crt` hold them.
    #[must_use]
    pub fn trust(&self) -> String {
        self.authorities.concat()
    }

    /// The authorities of a text of several.
    #[must_use]
    pub fn authorities(text: &str) -> Vec<String> {
        let parts = text.split_inclusive(END).map(str::trim);
        parts
            .filter(|part| part.ends_with(END))
            .map(|part| format!("{part}\n"))
            .collect()
    }

    /// What [`decide`] needs to know.
    ///
    /// # Errors
    /// Which part is not what it should be.
    pub fn facts(&self, injected: bool) -> Result<Facts, CertificateError> {
        let authorities: Result<Vec<Known>, _> = self.authorities.iter().map(|pem| known("ca.crt", pem)).collect();
        Ok(Facts {
            authorities: authorities?,
            serving: known("tls.crt", &self.certificate)?,
            changed: self.changed,
            injected,
        })
    }

    /// The certificate as a TLS server uses it.
    ///
    /// # Errors
    /// Which part is not what it should be.
    pub fn certified(&self) -> Result<CertifiedKey, CertificateError> {
        let reading = |part: &'static str| {
            move |cause: &dyn std::fmt::Display| CertificateError::Reading {
                part,
                cause: cause.to_string(),
            }
        };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.certificate.as_bytes()).collect();
        let chain = chain.map_err(|cause| reading("tls.crt")(&cause))?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(|cause| reading("tls.key")(&cause))?;
        CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider())
            .map_err(|cause| reading("tls.key")(&cause))
    }
}

fn known(part: &'static str, pem: &str) -> Result<Known, CertificateError> {
    let failed = |cause: &dyn std::fmt::Display| CertificateError::Reading {
        part,
        cause: cause.to_string(),
    };
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|cause| failed(&cause))?;
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).map_err(|cause| failed(&cause))?;
    let not_after = Timestamp::from_second(parsed.validity().not_after.timestamp()).map_err(|cause| failed(&cause))?;
    let alternatives = parsed.subject_alternative_name().map_err(|cause| failed(&cause))?;
    let general = alternatives.iter().flat_map(|names| &names.value.general_names);
    let mut names: Vec<String> = general
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        })
        .collect();
    names.sort_unstable();
    Ok(Known {
        subject: common_name(parsed.subject()),
        issuer: common_name(parsed.issuer()),
        not_after,
        names,
    })
}

fn common_name(name: &x509_parser::x509::X509Name<'_>) -> String {
    let first = name.iter_common_name().next().and_then(|name| name.as_str().ok());
    first.unwrap_or_default().to_owned()
}

fn parameters(common_name: &str, now: Timestamp, terms: &Terms) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    parameters.not_before = SystemTime::from(now.saturating_sub(CLOCK_ERROR).unwrap_or(now)).into();
    parameters.not_after = SystemTime::from(now.saturating_add(terms.lifetime).unwrap_or(now)).into();
    parameters
}

/// What an authority says of itself; with its key all that issuing needs.
fn authority_parameters(common_name: &str, now: Timestamp, terms: &Terms) -> CertificateParams {
    let mut parameters = parameters(common_name, now, terms);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    parameters
}

/// Names of authorities differ, so that a certificate tells whose it is.
fn new_authority(now: Timestamp, terms: &Terms) -> Result<(String, String), CertificateError> {
    let key = KeyPair::generate()?;
    let name = format!("stoke-webhook-authority-{:x}", now.as_nanosecond());
    let certificate = authority_parameters(&name, now, terms).self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn issue(
    authority: &str,
    authority_key: &str,
    names: &[String],
    now: Timestamp,
    terms: &Terms,
) -> Result<(String, String), CertificateError> {
    let of = known("ca.crt", authority)?;
    let issuer = Issuer::new(
        authority_parameters(&of.subject, now, terms),
        KeyPair::from_pem(authority_key)?,
    );
    let key = KeyPair::generate()?;
    let mut parameters = parameters("stoke-webhook", now, terms);
    // No longer than its authority.
    if let Some(left) = Some(of.not_after.duration_since(now)).filter(|left| *left < terms.lifetime) {
        parameters.not_after = SystemTime::from(now.saturating_add(left).unwrap_or(now)).into();
    }
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for name in names {
        parameters
            .subject_alt_names
            .push(SanType::DnsName(name.as_str().try_into()?));
    }
    let certificate = parameters.signed_by(&key, &issuer)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn start() -> Timestamp {
        "2026-11-21T00:00:00Z".parse().unwrap()
    }

    fn names() -> Vec<String> {
        vec!["hook.ops.svc".to_owned()]
    }

    #[test]
    fn a_year_and_its_rotation_step_by_step() {
        let terms = Terms::default();
        let mut bundle: Option<Bundle> = None;
        let mut taken = Vec::new();
        let mut now = start();
        while now < start() + DAY * 340 {
            let facts = bundle.as_ref().map(|bundle| bundle.facts(true).unwrap());
            let step = decide(facts.as_ref(), &names(), now, &terms);
            if step == Step::Keep {
                // Every minute while something is under way, else every hour.
                let changed = bundle.as_ref().map_or(now, |bundle| bundle.changed);
                let is_calm = now.duration_since(changed) >= SignedDuration::from_hours(1);
                now += if is_calm {
                    SignedDuration::from_hours(1)
                } else {
                    SignedDuration::from_mins(1)
                };
                continue;
            }
            let old = bundle.clone();
            let new = take(step, bundle.as_ref(), &names(), now, &terms).unwrap();
            new.certified().unwrap();
            // Whatever was served before is trusted after, and the other way round.
            let facts = new.facts(true).unwrap();
            let trusted = |known: &Facts, issuer: &str| known.authorities.iter().any(|one| one.subject == issuer);
            if let Some(old) = old.map(|old| old.facts(true).unwrap()) {
                assert!(
                    trusted(&facts, &old.serving.issuer) && trusted(&old, &facts.serving.issuer),
                    "{step:?}"
                );
            }
            taken.push(((now.duration_since(start()).as_secs()) / 60, step));
            bundle = Some(new);
        }
        let day = 335 * 24 * 60;
        assert_eq!(
            taken,
            [
                (0, Step::Create),
                (day, Step::Trust),
                (day + 4, Step::Issue),
                (day + 8, Step::Forget)
            ]
        );
    }

    #[test]
    fn decisions() {
        let terms = Terms::default();
        let authority = |subject: &str, days: i32| Known {
            subject: subject.to_owned(),
            issuer: subject.to_owned(),
            not_after: start() + DAY * days,
            names: Vec::new(),
        };
        let facts = |authorities: Vec<Known>, issuer: &str, days: i32, minutes: i64, injected| Facts {
            authorities,
            serving: Known {
                subject: "server".into(),
                issuer: issuer.into(),
                not_after: start() + DAY * days,
                names: names(),
            },
            changed: start() - SignedDuration::from_mins(minutes),
            injected,
        };
        let both = || vec![authority("a", 20), authority("b", 365)];
        let cases = [
            (
                "all is well",
                facts(vec![authority("a", 365)], "a", 365, 0, true),
                Step::Keep,
            ),
            (
                "the certificate alone ends",
                facts(vec![authority("a", 365)], "a", 30, 0, true),
                Step::Issue,
            ),
            (
                "the authority ends",
                facts(vec![authority("a", 30)], "a", 30, 0, true),
                Step::Trust,
            ),
            (
                "the new one is not known yet",
                facts(both(), "a", 20, 3, true),
                Step::Keep,
            ),
            (
                "the configurations are not written",
                facts(both(), "a", 20, 60, false),
                Step::Keep,
            ),
            ("the new one is known", facts(both(), "a", 20, 4, true), Step::Issue),
            (
                "others may still serve the old one",
                facts(both(), "b", 365, 3, true),
                Step::Keep,
            ),
            (
                "no one serves the old one",
                facts(both(), "b", 365, 4, true),
                Step::Forget,
            ),
            (
                "signed by a stranger",
                facts(vec![authority("a", 365)], "x", 365, 0, true),
                Step::Create,
            ),
            (
                "the certificate is over",
                facts(vec![authority("a", 365)], "a", 0, 0, true),
                Step::Create,
            ),
            (
                "the authority is over",
                facts(vec![authority("a", -1)], "a", 5, 0, true),
                Step::Create,
            ),
            ("nothing is trusted", facts(Vec::new(), "a", 5, 0, true), Step::Create),
        ];
        for (what, facts, step) in cases {
            assert_eq!(decide(Some(&facts), &names(), start(), &terms), step, "{what}");
        }
        assert_eq!(decide(None, &names(), start(), &terms), Step::Create);
        let renamed = facts(vec![authority("a", 365)], "a", 365, 0, true);
        assert_eq!(
            decide(Some(&renamed), &["other".to_owned()], start(), &terms),
            Step::Issue
        );
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let terms = Terms::default();
        let made = take(Step::Create, None, &names(), start(), &terms).unwrap();
        let two = take(Step::Trust, Some(&made), &names(), start() + DAY, &terms).unwrap();
        assert_eq!(Bundle::authorities(&two.trust()), two.authorities);
        assert_eq!(Bundle::authorities("rubbish"), Vec::<String>::new());
        assert_eq!(made.facts(false).unwrap().serving.names, names());
        let broken = Bundle {
            key: two.authority_key.clone(),
            ..two
        };
        assert!(broken.certified().is_err(), "a key of another certificate");
        let unreadable = Bundle {
            certificate: "x".into(),
            ..broken
        };
        let why = unreadable.facts(true).unwrap_err().to_string();
        assert!(why.starts_with("tls.crt cannot be read: "), "{why}");
    }

    #[test]
    fn terms_leave_time_for_a_rotation() {
        assert_eq!(Terms::default().check(), Ok(()));
        let minutes = SignedDuration::from_mins;
        for (lifetime, renew_before, settle) in [(60, 60, 1), (60, 3, 1), (60, 10, 0)] {
            let terms = Terms {
                lifetime: minutes(lifetime),
                renew_before: minutes(renew_before),
                settle: minutes(settle),
            };
            assert!(terms.check().is_err(), "{terms:?}");
        }
    }
}
