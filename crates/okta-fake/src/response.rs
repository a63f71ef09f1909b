//! Responses before the server adds its headers, and Okta's errors.

/// A response before the server adds its headers.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The content type; `None` for a response without a body.
    pub content_type: Option<String>,
    /// The address of this page.
    pub this: Option<String>,
    /// The address of the next page.
    pub next: Option<String>,
    /// More headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The reason why the tool should not have sent the request, if there is one.
    pub unexpected: Option<String>,
}

impl Response {
    pub(crate) fn json(body: Vec<u8>) -> Self {
        Self {
            status: 200,
            content_type: Some("application/json".to_owned()),
            body,
            ..Self::default()
        }
    }

    /// Returns an Okta error.
    pub(crate) fn error(status: u16, code: &str, summary: &str, causes: &[&str]) -> Self {
        let causes: Vec<_> = causes
            .iter()
            .map(|cause| serde_json::json!({ "errorSummary": cause }))
            .collect();
        let body = serde_json::json!({
            "errorCode": code,
            "errorSummary": summary,
            "errorLink": code,
            // The id has 25 characters, as in all recorded errors.
            "errorId": format!("oae{code:0<22}"),
            "errorCauses": causes,
        });
        Self {
            status,
            ..Self::json(body.to_string().into_bytes())
        }
    }

    pub(crate) fn unexpected(mut self, why: impl Into<String>) -> Self {
        self.unexpected = Some(why.into());
        self
    }
}

/// Returns Okta's error for a missing object. `kind` is Okta's name for the kind of object: `User` or `UserGroup`.
pub(crate) fn not_found(id: &str, kind: &str) -> Response {
    let summary = format!("Not found: Resource not found: {id} ({kind})");
    Response::error(404, "E0000007", &summary, &[])
}

pub(crate) fn method_not_allowed() -> Response {
    let summary = "The endpoint does not support the provided HTTP method";
    Response::error(405, "E0000022", summary, &[])
}

pub(crate) fn forbidden() -> Response {
    let summary = "You do not have permission to perform the requested action";
    Response::error(403, "E0000006", summary, &[])
}
