use crate::harness::{Server, lines, text, texts};

const ARN: &str = "arn:aws:iam::111122223333:oidc-provider/oidc.example/id/A";

fn create(server: &mut Server, url: &str) -> String {
    server.ok(
        "CreateOpenIDConnectProvider",
        &[("Url", url), ("ClientIDList.member.1", "sts.amazonaws.com")],
    )
}

#[test]
fn a_provider_lives() {
    let mut server = Server::new();
    let created = server.answer(
        "CreateOpenIDConnectProvider",
        &[
            ("Url", "https://oidc.example/id/A"),
            ("ClientIDList.member.1", "sts.amazonaws.com"),
            ("ClientIDList.member.2", "other"),
            ("ClientIDList.member.3", "sts.amazonaws.com"),
            ("ThumbprintList.member.1", "9E99A48A9960B14926BB7F3B02E22DA2B0AB7280"),
            ("ThumbprintList.member.2", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"),
            ("Tags.member.1.Key", "key"),
            ("Tags.member.1.Value", "1"),
            ("Tags.member.2.Key", "Key"),
            ("Tags.member.2.Value", "2"),
        ],
    );
    let created = created.unwrap();
    insta::assert_snapshot!("provider_created", lines(&created.result.unwrap()));
    insta::assert_snapshot!(
        "provider_created_event",
        format!("{:#}", created.response_elements.unwrap())
    );
    insta::assert_snapshot!(
        "provider",
        lines(&server.ok("GetOpenIDConnectProvider", &[("OpenIDConnectProviderArn", ARN)]))
    );
    insta::assert_snapshot!("providers", lines(&server.ok("ListOpenIDConnectProviders", &[])));

    let arn = ("OpenIDConnectProviderArn", ARN);
    for (operation, client_id) in [
        ("Add", "third"),
        ("Add", "third"),
        ("Remove", "other"),
        ("Remove", "unknown"),
    ] {
        let name = if operation == "Add" {
            "AddClientIDToOpenIDConnectProvider"
        } else {
            "RemoveClientIDFromOpenIDConnectProvider"
        };
        server.ok(name, &[arn, ("ClientID", client_id)]);
    }
    let thumbprint = ("ThumbprintList.member.1", "ABABABABABABABABABABABABABABABABABABABAB");
    server.ok("UpdateOpenIDConnectProviderThumbprint", &[arn, thumbprint]);
    let provider = server.ok("GetOpenIDConnectProvider", &[arn]);
    assert_eq!(
        text(&provider, "ClientIDList"),
        "<member>sts.amazonaws.com</member><member>third</member>"
    );
    assert_eq!(
        text(&provider, "ThumbprintList"),
        "<member>abababababababababababababababababababab</member>"
    );

    server.ok("DeleteOpenIDConnectProvider", &[arn]);
    assert_eq!(
        text(
            &server.ok("ListOpenIDConnectProviders", &[]),
            "OpenIDConnectProviderList"
        ),
        ""
    );
}

#[test]
fn the_url_is_the_identity() {
    let mut server = Server::new();
    for url in [
        "https://Host.example",
        "https://Host.example/",
        "https://host.example/",
        "https://Host.example/a",
        "https://Host.example:443/A",
    ] {
        create(&mut server, url);
    }
    let arns = texts(&server.ok("ListOpenIDConnectProviders", &[]), "Arn");
    let urls: Vec<&str> = arns
        .iter()
        .map(|arn| arn.split_once("oidc-provider/").unwrap().1)
        .collect();
    assert_eq!(
        urls,
        [
            "Host.example",
            "Host.example/",
            "Host.example/A",
            "Host.example/a",
            "host.example/"
        ]
    );
    assert_eq!(
        server.error("CreateOpenIDConnectProvider", &[("Url", "https://Host.example:443/a")]),
        "EntityAlreadyExists 409: Provider with url https://Host.example/a already exists."
    );
}

#[test]
fn adv_ia_10_bad_providers() {
    let mut server = Server::new();
    let long = format!("https://oidc.example/{}", "x".repeat(235));
    let invalid = "ValidationError 400: Invalid Open ID Connect Provider URL";
    let too_long = format!(
        "ValidationError 400: 1 validation error detected: Value '{long}' at 'url' failed to satisfy constraint: \
         Member must have length less than or equal to 255"
    );
    for (url, expected) in [
        ("http://oidc.example", invalid),
        ("https://oidc.example:8443", invalid),
        ("https://user@oidc.example", invalid),
        ("https://oidc.example?x=1", "InvalidInput 400: Unknown"),
        ("https://oidc.example/#f", "InvalidInput 400: Unknown"),
        (long.as_str(), too_long.as_str()),
    ] {
        assert_eq!(
            server.error("CreateOpenIDConnectProvider", &[("Url", url)]),
            expected,
            "{url}"
        );
    }
    server.allow_issuer_ports = true;
    let created = create(&mut server, "https://oidc.example:8443");
    assert_eq!(
        text(&created, "OpenIDConnectProviderArn"),
        "arn:aws:iam::111122223333:oidc-provider/oidc.example:8443"
    );
}

#[test]
fn errors() {
    let mut server = Server::new();
    create(&mut server, "https://oidc.example/id/A");
    let arn = ("OpenIDConnectProviderArn", ARN);
    let missing = (
        "OpenIDConnectProviderArn",
        "arn:aws:iam::111122223333:oidc-provider/none",
    );
    let not_found =
        "NoSuchEntity 404: OpenIDConnect Provider not found for arn arn:aws:iam::111122223333:oidc-provider/none";
    let thumbprint = "a".repeat(40);
    assert_eq!(server.error("GetOpenIDConnectProvider", &[missing]), not_found);
    assert_eq!(
        server.error("AddClientIDToOpenIDConnectProvider", &[missing, ("ClientID", "a")]),
        not_found
    );
    assert_eq!(
        server.error("RemoveClientIDFromOpenIDConnectProvider", &[missing, ("ClientID", "a")]),
        not_found
    );
    assert_eq!(
        server.error(
            "UpdateOpenIDConnectProviderThumbprint",
            &[missing, ("ThumbprintList.member.1", &thumbprint)]
        ),
        not_found
    );
    assert_eq!(
        server.error("DeleteOpenIDConnectProvider", &[missing]),
        "NoSuchEntity 404: OpenId connect Provider arn:aws:iam::111122223333:oidc-provider/none cannot be found."
    );
    assert_eq!(
        server.error("UpdateOpenIDConnectProviderThumbprint", &[arn, ("ThumbprintList", "")]),
        "InvalidInput 400: Thumbprint list must contain at least one entry."
    );
    let names: Vec<String> = (1..=6).map(|index| format!("ThumbprintList.member.{index}")).collect();
    let mut six: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), thumbprint.as_str())).collect();
    six.push(("Url", "https://six.example"));
    assert_eq!(
        server.error("CreateOpenIDConnectProvider", &six),
        "InvalidInput 400: Thumbprint list must contain fewer than 5 entries."
    );
    assert_eq!(
        server.error(
            "CreateOpenIDConnectProvider",
            &[("Url", "https://x.example"), ("ThumbprintList.member.1", "abc")]
        ),
        "ValidationError 400: 1 validation error detected: Value '[abc]' at 'thumbprintList' failed to satisfy constraint: Member must satisfy \
         constraint: [Member must have length less than or equal to 40, Member must have length greater than or equal to 40]"
    );
    assert_eq!(
        server.error(
            "GetOpenIDConnectProvider",
            &[("OpenIDConnectProviderArn", "arn:aws:iam::nonsense")]
        ),
        "ValidationError 400: Invalid ARN:  Could not be parsed!"
    );
    assert_eq!(
        server.error(
            "GetOpenIDConnectProvider",
            &[("OpenIDConnectProviderArn", "arn:aws:iam::111122223333:role/x")]
        ),
        "InvalidInput 400: ARN arn:aws:iam::111122223333:role/x is not valid."
    );
}

#[test]
fn quotas() {
    let mut server = Server::new();
    let names: Vec<(String, String)> = (1..=101)
        .map(|index| (format!("ClientIDList.member.{index}"), format!("c{index}")))
        .collect();
    let mut many: Vec<(&str, &str)> = names
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    many.push(("Url", "https://many.example"));
    let quota = "LimitExceeded 409: Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100";
    assert_eq!(server.error("CreateOpenIDConnectProvider", &many), quota);
    many.remove(100);
    server.ok("CreateOpenIDConnectProvider", &many);
    let arn = (
        "OpenIDConnectProviderArn",
        "arn:aws:iam::111122223333:oidc-provider/many.example",
    );
    assert_eq!(
        server.error("AddClientIDToOpenIDConnectProvider", &[arn, ("ClientID", "c101")]),
        quota
    );
    server.ok("AddClientIDToOpenIDConnectProvider", &[arn, ("ClientID", "c100")]);

    for index in 1..100 {
        create(&mut server, &format!("https://oidc.example/{index}"));
    }
    assert_eq!(
        server.error("CreateOpenIDConnectProvider", &[("Url", "https://oidc.example/100")]),
        "LimitExceeded 409: Cannot exceed quota for OpenIdConnectProvidersPerAccount: 100"
    );
}

#[test]
fn adv_ia_11_accounts_register_the_same_issuer_apart() {
    let mut server = Server::new();
    create(&mut server, "https://oidc.example/id/A");
    let other = server.add_account("444455556666");
    let first = std::mem::replace(&mut server.caller, other);
    assert_eq!(
        text(
            &server.ok("ListOpenIDConnectProviders", &[]),
            "OpenIDConnectProviderList"
        ),
        ""
    );
    create(&mut server, "https://oidc.example/id/A");
    // Whoever asks for another account's provider is refused before the operation runs, and would not see it if it ran.
    assert!(
        server
            .refusal(
                &server.caller,
                "GetOpenIDConnectProvider",
                &[("OpenIDConnectProviderArn", ARN)]
            )
            .is_some()
    );
    assert!(
        server
            .error("GetOpenIDConnectProvider", &[("OpenIDConnectProviderArn", ARN)])
            .starts_with("NoSuchEntity")
    );
    server.ok(
        "DeleteOpenIDConnectProvider",
        &[(
            "OpenIDConnectProviderArn",
            "arn:aws:iam::444455556666:oidc-provider/oidc.example/id/A",
        )],
    );
    server.caller = first;
    server.ok("GetOpenIDConnectProvider", &[("OpenIDConnectProviderArn", ARN)]);
}
