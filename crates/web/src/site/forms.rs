//! Forms of a cluster's pages: signing in and out, a change of an application, a statement, a manifest to check.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use stoke_history::rest::{Library, Query};

use super::answers::{plain, rendered, written};
use super::console::{Call, findings, frame, is_secure, refused, sent_to, signing};
use super::{Site, provider};
use crate::access::origin::{is_own, next};
use crate::access::session::{Visitor, digest};
use crate::access::{Access, Denied};
use crate::address;
use crate::live::sql;
use crate::pages::application::Application;
use crate::pages::{Missing, ask, change, desk};

/// Bytes of a form.
const FORM: usize = 256 << 10;
/// How long a form may take to be sent.
const PATIENCE: Duration = Duration::from_secs(10);

async fn form(body: Body) -> Result<Query, StatusCode> {
    let bytes = tokio::time::timeout(PATIENCE, axum::body::to_bytes(body, FORM)).await;
    let bytes = bytes.map_err(|_| StatusCode::REQUEST_TIMEOUT)?;
    let bytes = bytes.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    Ok(Query::parse(&String::from_utf8_lossy(&bytes)))
}

fn unread(asked: &Call, status: StatusCode) -> Response {
    let p = asked.wish.language.words().platform();
    plain(status, format!("{}\n", p.too_large))
}

/// The namespaces that are named in a form; none: all.
fn namespaces(form: &Query) -> Vec<String> {
    let names = form.first("namespaces").unwrap_or_default();
    let names = names.split([',', ' ']).filter(|name| !name.is_empty()).take(100);
    names.map(str::to_owned).collect()
}

pub(super) async fn sign_in(site: &Site, access: &Access, asked: &Call, body: Body) -> Response {
    let p = asked.wish.language.words().platform();
    if !is_own(&asked.headers, &asked.host, &site.settings.hosts) {
        return plain(StatusCode::FORBIDDEN, format!("{}\n", p.wrong_form));
    }
    let form = match form(body).await {
        Ok(form) => form,
        Err(status) => return unread(asked, status),
    };
    let names = namespaces(&form);
    let next = next(form.first("next").unwrap_or_default());
    let token = form.first("token").unwrap_or_default().trim();
    match access.sign_in(token, names).await {
        Ok(cookie) => {
            let cookie = access.set_cookie(&cookie, &asked.wish.base, is_secure(&asked.headers));
            sent_to(asked, next, Some(cookie))
        }
        Err(Denied::Wrong) => signing(
            access,
            asked,
            StatusCode::UNAUTHORIZED,
            next,
            Some(p.wrong_token.to_owned()),
        ),
        Err(denied) => {
            let why = provider::reason(asked.wish.language.words(), &denied);
            signing(access, asked, StatusCode::BAD_GATEWAY, next, Some(why))
        }
    }
}

/// Forms of those who are signed in.
pub(super) async fn posted(access: &Access, asked: Call, visitor: Visitor, body: Body, site: &Arc<Site>) -> Response {
    let p = asked.wish.language.words().platform();
    let form = match form(body).await {
        Ok(form) => form,
        Err(status) => return unread(&asked, status),
    };
    // Who shows a token with each request cannot be made to by another page.
    let is_meant = visitor.cookie.is_none()
        || (is_own(&asked.headers, &asked.host, &site.settings.hosts)
            && digest(form.first("csrf").unwrap_or_default()) == digest(&visitor.csrf));
    if !is_meant {
        return plain(StatusCode::FORBIDDEN, format!("{}\n", p.wrong_form));
    }
    match asked.path.as_str() {
        "/sign-out" => provider::leave(access, &asked, &visitor).await,
        "/namespaces" => {
            access.choose(&visitor, namespaces(&form));
            sent_to(&asked, "/", None)
        }
        path if path.starts_with("/applications/") && path.trim_end_matches('/').ends_with("/change") => {
            changed(site, access, &asked, &visitor, &form).await
        }
        "/sql" | "/sql/" => {
            let wanted = |name| form.first(name).unwrap_or_default();
            let (server, statement) = (wanted("server"), wanted("statement"));
            let answer = sql::ask(&visitor.live, &visitor.who, server, statement).await;
            let answer = answer.map_err(|problem| problem.to_string());
            let servers = visitor.live.connect_servers().await;
            let visit = asked.visit();
            let mut page = ask::page(
                &visit,
                &visitor.csrf,
                &servers,
                site.tariffs(),
                (server, statement),
                Some(answer),
            );
            page.frame = Some(frame(&asked, &visitor));
            rendered(StatusCode::OK, &page, &visit, &asked.wish)
        }
        "/check" | "/check/" => {
            let text = form.first("manifest").unwrap_or_default().to_owned();
            let (visit, csrf) = (asked.visit(), visitor.csrf.clone());
            let Ok(_turn) = site.turns.acquire().await else {
                return plain(StatusCode::SERVICE_UNAVAILABLE, "the server ends\n".to_owned());
            };
            let made = tokio::task::spawn_blocking(move || (desk::check(&visit, &csrf, Some(&text)), visit)).await;
            match made {
                Ok((mut page, visit)) => {
                    page.frame = Some(frame(&asked, &visitor));
                    rendered(StatusCode::OK, &page, &visit, &asked.wish)
                }
                Err(error) => {
                    tracing::error!(%error, "a manifest could not be checked");
                    plain(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "the page could not be made\n".to_owned(),
                    )
                }
            }
        }
        _ => plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n".to_owned()),
    }
}

/// Changes an application as the doctor proposes, as its visitor.
async fn changed(site: &Arc<Site>, access: &Access, asked: &Call, visitor: &Visitor, form: &Query) -> Response {
    let parts = address::parts(&asked.path);
    let (Some(namespace), Some(name)) = (parts.get(1), parts.get(2)) else {
        return plain(StatusCode::NOT_FOUND, "Not Found\n".to_owned());
    };
    let app = match visitor.live.application(namespace, name).await {
        Ok(object) => Application::new(object, site.index.now()),
        Err(refusal) => return refused(access, asked, visitor, &refusal),
    };
    let found = findings(site, &app, true).await;
    let wanted = form.first("change").unwrap_or_default();
    let patch = change::named(&found, wanted).and_then(|finding| finding.patch());
    let Some(patch) = patch else {
        return written(
            Err(Missing::NotFound),
            &asked.visit(),
            &asked.wish,
            Some(frame(asked, visitor)),
        );
    };
    let version = form.first("version").filter(|version| !version.is_empty());
    match visitor.live.change(namespace, name, patch, version, false).await {
        Ok(_) => {
            tracing::info!(
                who = visitor.who,
                namespace,
                name,
                change = wanted,
                "an application was changed"
            );
            sent_to(asked, &address::application("", namespace, name, ""), None)
        }
        Err(refusal) => refused(access, asked, visitor, &refusal),
    }
}
