use std::collections::BTreeMap;

use super::*;
use crate::test_server::{Reply, TestServer};

fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn empty(action: &str) -> Reply {
    Reply::ok(format!(
        "<{action}Response><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
    ))
}

const FIRST_PAGE: &str = "<GetAccountAuthorizationDetailsResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">
<GetAccountAuthorizationDetailsResult><UserDetailList/><GroupDetailList/><Policies/>
<RoleDetailList>
 <member><Path>/</Path><RoleName>reader</RoleName><RoleId>AROA1</RoleId>
  <Arn>arn:aws:iam::111122223333:role/reader</Arn>
  <AssumeRolePolicyDocument>%7B%22Version%22%3A%222012-10-17%22%2C%22a%22%3A%22x%20%2B+%26%25%22%7D</AssumeRolePolicyDocument>
  <InstanceProfileList/>
  <RolePolicyList>
   <member><PolicyName>one</PolicyName><PolicyDocument>%7B%22Statement%22%3A%5B%5D%7D</PolicyDocument></member>
   <member><PolicyName>t&amp;o</PolicyName><PolicyDocument>%7B%22name%22%3A%22%C3%BC%22%7D</PolicyDocument></member>
  </RolePolicyList>
  <AttachedManagedPolicies>
   <member><PolicyName>ReadOnly</PolicyName><PolicyArn>arn:aws:iam::aws:policy/ReadOnly</PolicyArn></member>
   <member><PolicyName>mine</PolicyName><PolicyArn>arn:aws:iam::111122223333:policy/mine</PolicyArn></member>
  </AttachedManagedPolicies>
  <PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType>
   <PermissionsBoundaryArn>arn:aws:iam::111122223333:policy/edge</PermissionsBoundaryArn></PermissionsBoundary>
  <Tags><member><Key>team</Key><Value> a b </Value></member><member><Key>empty</Key><Value></Value></member></Tags>
 </member>
</RoleDetailList><IsTruncated>true</IsTruncated><Marker>EXAMPLE/marker=</Marker>
</GetAccountAuthorizationDetailsResult></GetAccountAuthorizationDetailsResponse>";

const SECOND_PAGE: &str = "<GetAccountAuthorizationDetailsResponse><GetAccountAuthorizationDetailsResult><RoleDetailList>
 <member><RoleName>plain</RoleName><Arn>arn:aws:iam::111122223333:role/p/plain</Arn>
  <AssumeRolePolicyDocument>{\"100%25\":\"sent as it is\"}</AssumeRolePolicyDocument></member>
</RoleDetailList><IsTruncated>false</IsTruncated></GetAccountAuthorizationDetailsResult></GetAccountAuthorizationDetailsResponse>";

#[tokio::test]
async fn all_pages_of_all_roles() {
    let server = TestServer::start([
        Reply::ok(FIRST_PAGE),
        // A refusal between two pages costs that page alone.
        Reply::refused(400, "Throttling", "Rate exceeded"),
        Reply::ok(SECOND_PAGE),
    ])
    .await;
    let iam = server.session().iam().unwrap();
    let mut told = Vec::new();
    let roles = iam.roles(|count| told.push(count)).await.unwrap();
    assert_eq!(told, [1, 2]);
    assert_eq!(
        server.bodies(),
        [
            "Action=GetAccountAuthorizationDetails&Version=2010-05-08&Filter.member.1=Role&MaxItems=1000",
            "Action=GetAccountAuthorizationDetails&Version=2010-05-08&Filter.member.1=Role&MaxItems=1000&Marker=EXAMPLE%2Fmarker%3D",
            "Action=GetAccountAuthorizationDetails&Version=2010-05-08&Filter.member.1=Role&MaxItems=1000&Marker=EXAMPLE%2Fmarker%3D",
        ]
    );
    let reader = RoleDetail {
        name: "reader".to_owned(),
        arn: "arn:aws:iam::111122223333:role/reader".to_owned(),
        id: "AROA1".to_owned(),
        trust: r#"{"Version":"2012-10-17","a":"x ++&%"}"#.to_owned(),
        inline: tags(&[("one", r#"{"Statement":[]}"#), ("t&o", r#"{"name":"ü"}"#)]),
        attached: [
            "arn:aws:iam::aws:policy/ReadOnly".to_owned(),
            "arn:aws:iam::111122223333:policy/mine".to_owned(),
        ]
        .into(),
        boundary: Some("arn:aws:iam::111122223333:policy/edge".to_owned()),
        tags: tags(&[("team", " a b "), ("empty", "")]),
    };
    let plain = RoleDetail {
        name: "plain".to_owned(),
        arn: "arn:aws:iam::111122223333:role/p/plain".to_owned(),
        trust: r#"{"100%25":"sent as it is"}"#.to_owned(),
        ..RoleDetail::default()
    };
    assert_eq!(roles, [reader, plain]);
}

#[tokio::test]
async fn half_a_list_is_never_taken_for_a_whole_one() {
    let page = |rest: &str| {
        Reply::ok(format!(
            "<R><GetAccountAuthorizationDetailsResult><RoleDetailList/>{rest}</GetAccountAuthorizationDetailsResult></R>"
        ))
    };
    let more = "<IsTruncated>true</IsTruncated><Marker>m</Marker>";
    for script in [
        vec![page("<IsTruncated>true</IsTruncated>")],
        vec![page(more), page(more)],
        vec![Reply::ok("<R><Other/></R>")],
        vec![Reply::ok(
            "<R><GetAccountAuthorizationDetailsResult><RoleDetailList><member><Arn>a</Arn></member></RoleDetailList>\
             </GetAccountAuthorizationDetailsResult></R>",
        )],
    ] {
        let server = TestServer::start(script).await;
        let error = server.session().iam().unwrap().roles(|_| ()).await.unwrap_err();
        assert!(matches!(error, ClientError::Unreadable { .. }), "{error}");
    }
}

#[tokio::test]
async fn one_role_with_everything() {
    let role = "<GetRoleResponse><GetRoleResult><Role><RoleName>r</RoleName><Arn>arn:r</Arn><RoleId>AROA9</RoleId>
        <Description>said</Description><AssumeRolePolicyDocument>%7B%7D</AssumeRolePolicyDocument>
        <Tags><member><Key>k</Key><Value>v</Value></member></Tags></Role></GetRoleResult></GetRoleResponse>";
    let server = TestServer::start([
        Reply::ok(role),
        Reply::ok(
            "<R><ListAttachedRolePoliciesResult><IsTruncated>false</IsTruncated><AttachedPolicies><member><PolicyName>p</PolicyName>\
             <PolicyArn>arn:p</PolicyArn></member></AttachedPolicies></ListAttachedRolePoliciesResult></R>",
        ),
        Reply::ok(
            "<R><ListRolePoliciesResult><PolicyNames><member>gone</member><member>in</member></PolicyNames></ListRolePoliciesResult></R>",
        ),
        Reply::refused(404, "NoSuchEntity", "The role policy with name gone cannot be found."),
        Reply::ok("<R><GetRolePolicyResult><PolicyDocument>%7B%22b%22%3A1%7D</PolicyDocument></GetRolePolicyResult></R>"),
        Reply::refused(404, "NoSuchEntity", "The role with name x cannot be found."),
    ])
    .await;
    let iam = server.session().iam().unwrap();
    let role = iam.role("r").await.unwrap().unwrap();
    assert_eq!((role.id.as_str(), role.trust.as_str()), ("AROA9", "{}"));
    assert_eq!(role.inline, tags(&[("in", r#"{"b":1}"#)]));
    assert!(role.attached.contains("arn:p") && role.tags == tags(&[("k", "v")]));
    assert_eq!(iam.role("x").await.unwrap(), None);
    let actions: Vec<String> = server.bodies();
    let actions: Vec<&str> = actions.iter().filter_map(|body| body.split('&').next()).collect();
    assert_eq!(
        actions,
        [
            "Action=GetRole",
            "Action=ListAttachedRolePolicies",
            "Action=ListRolePolicies",
            "Action=GetRolePolicy",
            "Action=GetRolePolicy",
            "Action=GetRole",
        ]
    );
}

#[tokio::test]
async fn providers_and_quotas() {
    let server = TestServer::start([
        Reply::ok(
            "<R><GetOpenIDConnectProviderResult><Url>issuer.example/a</Url><ClientIDList><member>sts.amazonaws.com</member>\
             <member>other</member></ClientIDList><ThumbprintList/><Tags><member><Key>k</Key><Value>v</Value></member></Tags>\
             </GetOpenIDConnectProviderResult></R>",
        ),
        Reply::refused(404, "NoSuchEntity", "OpenIDConnect Provider not found"),
        Reply::ok(
            "<R><GetAccountSummaryResult><SummaryMap><entry><key>Roles</key><value>12</value></entry>\
             <entry><key>AssumeRolePolicySizeQuota</key><value>4096</value></entry>\
             <entry><key>RolesQuota</key><value>many</value></entry></SummaryMap></GetAccountSummaryResult></R>",
        ),
        Reply::ok(
            "<R><CreateOpenIDConnectProviderResult><OpenIDConnectProviderArn>arn:new</OpenIDConnectProviderArn>\
             </CreateOpenIDConnectProviderResult></R>",
        ),
    ])
    .await;
    let iam = server.session().iam().unwrap();
    let provider = iam.provider("arn:o").await.unwrap().unwrap();
    assert_eq!(provider.arn, "arn:o");
    assert_eq!(
        provider.client_ids,
        ["other".to_owned(), "sts.amazonaws.com".to_owned()].into()
    );
    assert_eq!(iam.provider("arn:none").await.unwrap(), None);
    let quotas = iam.account_summary().await.unwrap();
    assert_eq!(
        quotas,
        Quotas {
            roles: Some(12),
            trust_policy: Some(4096),
            ..Quotas::default()
        }
    );
    let arn = iam
        .create_provider(
            "https://i.example",
            &["a".to_owned(), "b".to_owned()],
            &tags(&[("t", "1")]),
        )
        .await
        .unwrap();
    assert_eq!(arn, "arn:new");
    assert_eq!(
        server.bodies()[3],
        "Action=CreateOpenIDConnectProvider&Version=2010-05-08&Url=https%3A%2F%2Fi.example&ClientIDList.member.1=a\
         &ClientIDList.member.2=b&Tags.member.1.Key=t&Tags.member.1.Value=1"
    );
}

#[tokio::test]
async fn every_change_as_it_is_sent() {
    let created = "<R><CreateRoleResult><Role><RoleName>r</RoleName><Arn>arn:r</Arn><RoleId>AROA1</RoleId>\
        <AssumeRolePolicyDocument>%7B%7D</AssumeRolePolicyDocument></Role></CreateRoleResult></R>";
    let script = std::iter::once(Reply::ok(created)).chain(std::iter::repeat_n(empty("Any"), 11));
    let server = TestServer::start(script).await;
    let iam = server.session().iam().unwrap();
    let role = NewRole {
        name: "r".to_owned(),
        trust: "{}".to_owned(),
        boundary: Some("arn:b".to_owned()),
        description: "for a+b".to_owned(),
        tags: tags(&[("k", "v w")]),
    };
    assert_eq!(iam.create_role(&role).await.unwrap().id, "AROA1");
    iam.tag_role("r", &tags(&[("k", "v"), ("l", "")])).await.unwrap();
    iam.untag_role("r", &["k".to_owned(), "l".to_owned()]).await.unwrap();
    iam.update_assume_role_policy("r", "{\"a\":1}").await.unwrap();
    iam.put_role_policy("r", "p", "{}").await.unwrap();
    iam.delete_role_policy("r", "p").await.unwrap();
    iam.attach_role_policy("r", "arn:p").await.unwrap();
    iam.detach_role_policy("r", "arn:p").await.unwrap();
    iam.put_role_permissions_boundary("r", "arn:b").await.unwrap();
    iam.delete_role_permissions_boundary("r").await.unwrap();
    iam.delete_role("r").await.unwrap();
    iam.add_client_id("arn:o", "aud").await.unwrap();
    let sent: Vec<String> = server
        .bodies()
        .iter()
        .map(|body| body.replace("&Version=2010-05-08", ""))
        .collect();
    assert_eq!(
        sent,
        [
            "Action=CreateRole&RoleName=r&AssumeRolePolicyDocument=%7B%7D&Tags.member.1.Key=k&Tags.member.1.Value=v+w\
             &Description=for+a%2Bb&PermissionsBoundary=arn%3Ab",
            "Action=TagRole&RoleName=r&Tags.member.1.Key=k&Tags.member.1.Value=v&Tags.member.2.Key=l&Tags.member.2.Value=",
            "Action=UntagRole&RoleName=r&TagKeys.member.1=k&TagKeys.member.2=l",
            "Action=UpdateAssumeRolePolicy&RoleName=r&PolicyDocument=%7B%22a%22%3A1%7D",
            "Action=PutRolePolicy&RoleName=r&PolicyName=p&PolicyDocument=%7B%7D",
            "Action=DeleteRolePolicy&RoleName=r&PolicyName=p",
            "Action=AttachRolePolicy&RoleName=r&PolicyArn=arn%3Ap",
            "Action=DetachRolePolicy&RoleName=r&PolicyArn=arn%3Ap",
            "Action=PutRolePermissionsBoundary&RoleName=r&PermissionsBoundary=arn%3Ab",
            "Action=DeleteRolePermissionsBoundary&RoleName=r",
            "Action=DeleteRole&RoleName=r",
            "Action=AddClientIDToOpenIDConnectProvider&OpenIDConnectProviderArn=arn%3Ao&ClientID=aud",
        ]
    );
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let server = TestServer::start([
        Reply::refused(400, "Throttling", "Rate exceeded"),
        Reply::Answer(429, "retry-after: 0\r\n", String::new()),
        Reply::Answer(503, "", "<html>busy</html>".to_owned()),
        Reply::refused(409, "ConcurrentModification", "The request was rejected"),
        Reply::Cut,
        Reply::CutInside,
        empty("TagRole"),
    ])
    .await;
    let iam = server.session().iam().unwrap();
    iam.tag_role("r", &tags(&[("k", "v")])).await.unwrap();
    let bodies = server.bodies();
    assert_eq!(bodies.len(), 7);
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    // Only those that were cut are replaced.
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_kept_connection_that_ended_meanwhile_costs_nothing() {
    let server = TestServer::start([
        Reply::AnswerAndClose("<DeleteRoleResponse/>".to_owned()),
        empty("DeleteRole"),
    ])
    .await;
    let iam = server.session().iam().unwrap();
    iam.delete_role("a").await.unwrap();
    iam.delete_role("b").await.unwrap();
    let bodies = server.bodies();
    assert!(bodies.len() == 2 && bodies[1].ends_with("RoleName=b"), "{bodies:?}");
}

#[tokio::test]
async fn what_does_not_pass_is_told_at_once() {
    for (status, code) in [
        (403, "AccessDenied"),
        (404, "NoSuchEntity"),
        (409, "EntityAlreadyExists"),
        (409, "DeleteConflict"),
        (409, "LimitExceeded"),
        (400, "MalformedPolicyDocument"),
        (501, "NotImplemented"),
    ] {
        let server = TestServer::start([Reply::refused(status, code, "m")]).await;
        let error = server.session().iam().unwrap().delete_role("r").await.unwrap_err();
        assert_eq!(error.service().unwrap().code, code);
        assert_eq!(server.requests().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn attempts_are_bounded() {
    let server = TestServer::start(std::iter::repeat_n(Reply::refused(503, "ServiceUnavailable", "no"), 50)).await;
    let session = server.session().with_retries(crate::Retries {
        attempts: 5,
        first_wait: std::time::Duration::from_millis(1),
        ..crate::Retries::default()
    });
    let error = session.iam().unwrap().delete_role("r").await.unwrap_err();
    assert_eq!(server.requests().len(), 5);
    assert!(error.may_have_happened());
    let server = TestServer::start([]).await;
    let session = server.session().with_retries(crate::Retries {
        attempts: 2,
        ..crate::Retries::default()
    });
    let error = session.iam().unwrap().delete_role("r").await.unwrap_err();
    assert!(
        matches!(error, ClientError::Lost { .. }) && error.may_have_happened(),
        "{error}"
    );
    assert!(
        error.to_string().contains("before the answer to DeleteRole came"),
        "{error}"
    );
}

#[tokio::test]
async fn what_a_lost_answer_had_made_is_the_callers_to_judge() {
    let server = TestServer::start([
        Reply::Cut,
        Reply::refused(409, "EntityAlreadyExists", "Role with name r already exists."),
    ])
    .await;
    let role = NewRole {
        name: "r".to_owned(),
        ..NewRole::default()
    };
    let error = server.session().iam().unwrap().create_role(&role).await.unwrap_err();
    assert!(error.is_already_there() && !error.is_not_found(), "{error}");
}

#[tokio::test]
async fn errors_name_account_and_resource_and_no_secret() {
    let server = TestServer::start([
        Reply::ok(
            "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/u</Arn>\
             <UserId>AIDA1</UserId><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
        ),
        Reply::refused(409, "LimitExceeded", "Cannot exceed quota for RolesPerAccount: 1000"),
        Reply::refused(403, "AccessDenied", "not authorized"),
        Reply::refused(403, "ExpiredToken", "The security token included in the request is expired"),
    ])
    .await;
    let session = server.session();
    let identity = session.sts().unwrap().caller_identity().await.unwrap();
    assert_eq!(identity.account.to_string(), "111122223333");
    assert_eq!(session.account(), Some(identity.account));
    let iam = session.iam().unwrap();
    let role = NewRole {
        name: "app".to_owned(),
        ..NewRole::default()
    };
    let error = iam.create_role(&role).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "CreateRole of role `app` in account 111122223333 failed with LimitExceeded: Cannot exceed quota for RolesPerAccount: 1000"
    );
    let error = iam.put_role_policy("app", "p", "{}").await.unwrap_err();
    assert!(error.is_denied());
    assert!(
        error
            .to_string()
            .starts_with("PutRolePolicy of policy `p` of role `app` in account"),
        "{error}"
    );
    assert_eq!(error.hint().unwrap(), "`irsa explain r-1` shows why");
    let error = iam.delete_role("app").await.unwrap_err();
    assert_eq!(error.hint().unwrap(), "get new credentials; then run it again");
    for shown in [format!("{error:?}"), format!("{iam:?}"), format!("{session:?}")] {
        assert!(!shown.contains("never-to-be-shown"), "{shown}");
    }
}

#[tokio::test]
async fn many_calls_share_few_connections() {
    let server = TestServer::start(std::iter::repeat_n(empty("Any"), 200)).await;
    let iam = server.session().iam().unwrap();
    let calls: Vec<_> = (0..200)
        .map(|number| {
            let iam = iam.clone();
            tokio::spawn(async move { iam.delete_role(&format!("r{number}")).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(server.requests().len(), 200);
    assert!(server.connections() <= 32, "{}", server.connections());
}
