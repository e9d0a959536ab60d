use irsa_token::{TokenError, WebIdentityToken};
use serde_json::{Value, json};

use crate::support::key_set;

const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/// The published key with a key id, which this crate, like STS, wants.
fn check(token: &str, key: &Value) -> Result<(), TokenError> {
    WebIdentityToken::parse(token)
        .unwrap()
        .verify(&key_set(&json!({"keys": [key]})))
}

fn last_changed(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    format!("{signed}.B{}", &signature[1..])
}

#[test]
fn rfc_7515_appendix_a_2() {
    let key = json!({
        "kty": "RSA", "kid": "a2", "e": "AQAB",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMs\
              D1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdV\
              MTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    });
    let token = format!(
        "eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5\
         jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_d\
         O--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77\
         Rw"
    );
    assert_eq!(check(&token, &key), Ok(()));
    assert_eq!(check(&last_changed(&token), &key), Err(TokenError::BadSignature));
    let parsed = WebIdentityToken::parse(&token).unwrap();
    assert_eq!(parsed.claims().issuer.as_deref(), Some("joe"));
    assert_eq!(parsed.claims().expires, Some(1_300_819_380));
    assert_eq!(
        parsed.claims().raw.get("http://example.com/is_root"),
        Some(&Value::Bool(true))
    );
    assert_eq!(parsed.claims().missing(), Some("sub"));
}

#[test]
fn rfc_7515_appendix_a_3() {
    let key = json!({
        "kty": "EC", "kid": "a3", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let token = format!(
        "eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    assert_eq!(check(&token, &key), Ok(()));
    assert_eq!(check(&last_changed(&token), &key), Err(TokenError::BadSignature));
}
