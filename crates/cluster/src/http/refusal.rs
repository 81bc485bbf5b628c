//! A refusal as a response.

use axum::body::Body;
use axum::response::{IntoResponse, Response};

use crate::apimachinery::status::Status;

impl IntoResponse for Status {
    fn into_response(self) -> Response {
        let plain = self.code == 404 && self.reason.is_empty();
        let (body, kind) = if plain {
            (self.message.clone(), "text/plain; charset=utf-8")
        } else {
            (self.to_json().to_string(), "application/json")
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() =
            http::StatusCode::from_u16(self.code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        response
            .headers_mut()
            .insert("content-type", http::HeaderValue::from_static(kind));
        response
    }
}
