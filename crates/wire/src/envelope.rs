use crate::{Service, WireError, Xml};

/// The whole body of a successful Query answer. `result` is what stands inside `<OperationResult>`; `None` for operations
/// that answer with metadata only.
#[must_use]
pub fn query_answer(service: Service, operation: &str, result: Option<&str>, request_id: &str) -> String {
    let namespace = service.namespace();
    let body = result.map_or(0, str::len);
    let mut text = String::with_capacity(body.saturating_add(operation.len() * 4).saturating_add(260));
    for part in ["<", operation, "Response xmlns=\"", namespace, "\">"] {
        text.push_str(part);
    }
    if let Some(result) = result {
        for part in ["<", operation, "Result>", result, "</", operation, "Result>"] {
            text.push_str(part);
        }
    }
    for part in [
        "<ResponseMetadata><RequestId>",
        request_id,
        "</RequestId></ResponseMetadata></",
        operation,
        "Response>",
    ] {
        text.push_str(part);
    }
    text
}

/// The whole body of a Query error.
#[must_use]
pub fn query_error(service: Service, error: &WireError, request_id: &str) -> String {
    let mut xml = Xml::new();
    xml.element("Error", |xml| {
        xml.text("Type", error.fault().as_str())
            .text("Code", &error.code)
            .text("Message", &error.message);
    });
    xml.text("RequestId", request_id);
    format!(
        "<ErrorResponse xmlns=\"{}\">{}</ErrorResponse>",
        service.namespace(),
        xml.finish()
    )
}

/// The body of a REST-JSON or JSON 1.1 error; the code travels in the header `x-amzn-ErrorType` as well.
#[must_use]
pub fn json_error(error: &WireError) -> String {
    serde_json::json!({ "__type": error.code, "message": error.message }).to_string()
}

/// The body of an S3 error.
#[must_use]
pub fn s3_error(error: &WireError, resource: &str, request_id: &str, host_id: &str) -> String {
    let mut xml = Xml::new();
    xml.element("Error", |xml| {
        xml.text("Code", &error.code)
            .text("Message", &error.message)
            .text("Resource", resource);
        xml.text("RequestId", request_id).text("HostId", host_id);
    });
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", xml.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_errors() {
        insta::assert_snapshot!(
            "answer",
            query_answer(Service::Iam, "ListRoles", Some("<Roles></Roles>"), "id-1")
        );
        insta::assert_snapshot!("metadata_only", query_answer(Service::Iam, "DeleteRole", None, "id-1"));
        let error =
            WireError::new("NoSuchEntity", 404, "The role with name <x> cannot be found.").because("operators only");
        insta::assert_snapshot!("query_error", query_error(Service::Sts, &error, "id-1"));
        insta::assert_snapshot!("json_error", json_error(&error));
        insta::assert_snapshot!("s3_error", s3_error(&error, "/bucket/a&b", "id-1", "id-2"));
    }
}
