//! Envoy's side: one call, framed by gRPC.

use std::future::{Ready, ready};
use std::pin::Pin;

use http::{HeaderMap, Request, Response, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use irsa_authorizer::envoy::{
    self,
    message::{CheckRequest, CheckResponse, HealthCheckRequest, HealthCheckResponse, NOT_SERVING, SERVING},
};
use irsa_s3::Body;
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use super::{Authorizer, MAX_QUESTION, decide};
use crate::pipeline::Pipeline;

pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Answers a question. One that can't be read is a failed call: Envoy then lets nothing through, unless it was told to.
pub(super) async fn check(pipeline: &Pipeline, authorizer: &Authorizer, request: Request<Incoming>) -> Response<Body> {
    if !is_grpc(request.headers()) {
        return failed(Status::new(Code::InvalidArgument, "this is a call of gRPC"));
    }
    let mut grpc = Grpc::new(ProstCodec::default()).apply_max_message_size_config(Some(MAX_QUESTION), None);
    answered(grpc.unary(Check { pipeline, authorizer }, request).await)
}

struct Check<'a> {
    pipeline: &'a Pipeline,
    authorizer: &'a Authorizer,
}

impl<'a> UnaryService<CheckRequest> for Check<'a> {
    type Response = CheckResponse;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<CheckResponse>, Status>> + Send + 'a>>;

    fn call(&mut self, question: tonic::Request<CheckRequest>) -> Self::Future {
        let (pipeline, authorizer) = (self.pipeline, self.authorizer);
        Box::pin(async move {
            let original = envoy::read(question.into_inner()).map_err(|error| {
                tracing::warn!(%error, "a proxy's question can't be answered");
                pipeline.metrics.call("authorizer", "Unknown", 400);
                Status::new(Code::InvalidArgument, error.to_string())
            })?;
            let answer = match decide::decide(pipeline, authorizer, &original).await {
                Ok(permission) => envoy::allow(&permission, &original.headers, authorizer.strip_credentials),
                Err(refusal) => envoy::refuse(refusal),
            };
            Ok(tonic::Response::new(answer))
        })
    }
}

/// Says whether questions can be answered.
pub(super) async fn health(pipeline: &Pipeline, request: Request<Incoming>) -> Response<Body> {
    if !is_grpc(request.headers()) {
        return failed(Status::new(Code::InvalidArgument, "this is a call of gRPC"));
    }
    let is_ready = pipeline.health("/readyz").status().is_success();
    let mut grpc = Grpc::new(ProstCodec::default()).apply_max_message_size_config(Some(4096), None);
    answered(grpc.unary(Health(is_ready), request).await)
}

struct Health(bool);

impl UnaryService<HealthCheckRequest> for Health {
    type Response = HealthCheckResponse;
    type Future = Ready<Result<tonic::Response<HealthCheckResponse>, Status>>;

    fn call(&mut self, asked: tonic::Request<HealthCheckRequest>) -> Self::Future {
        let service = asked.into_inner().service;
        if !matches!(service.as_str(), "" | "envoy.service.auth.v3.Authorization") {
            return ready(Err(Status::new(Code::NotFound, "there is no such service")));
        }
        let status = if self.0 { SERVING } else { NOT_SERVING };
        ready(Ok(tonic::Response::new(HealthCheckResponse { status })))
    }
}

pub(super) fn unknown() -> Response<Body> {
    failed(Status::new(Code::Unimplemented, "there is no such call"))
}

pub(super) fn late() -> Response<Body> {
    failed(Status::new(Code::DeadlineExceeded, "the question took too long"))
}

fn failed(status: Status) -> Response<Body> {
    answered(status.into_http())
}

fn answered(response: Response<tonic::body::Body>) -> Response<Body> {
    response.map(|body| body.map_err(Into::into).boxed_unsync())
}
