//! Where AWS's services are, by partition, and for which region they want their requests signed.
//!
//! The rules of the services' endpoint rule sets, as far as these three services have any of their own.

use irsa_core::partition_of_region;

/// A service of AWS that a session calls.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Service {
    /// IAM.
    Iam,
    /// STS.
    Sts,
    /// EKS.
    Eks,
}

impl Service {
    /// The name in `AWS_ENDPOINT_URL_<NAME>` and, in lower case, in a `services` section of the configuration file.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::Sts => "sts",
            Self::Eks => "eks",
        }
    }
}

/// Where a service is, and the region to sign for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) region: String,
}

/// Variants of the endpoints (`AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Variant {
    pub(crate) fips: bool,
    pub(crate) dual_stack: bool,
}

struct Partition {
    name: &'static str,
    suffix: &'static str,
    dual_stack_suffix: &'static str,
    /// The region that IAM's requests are signed for.
    iam_region: &'static str,
    /// IAM's host before the suffix; IAM is one for each partition.
    iam_host: &'static str,
}

const fn partition(
    name: &'static str,
    suffix: &'static str,
    dual_stack_suffix: &'static str,
    iam_region: &'static str,
    iam_host: &'static str,
) -> Partition {
    Partition {
        name,
        suffix,
        dual_stack_suffix,
        iam_region,
        iam_host,
    }
}

const PARTITIONS: [Partition; 8] = [
    partition("aws", "amazonaws.com", "api.aws", "us-east-1", "iam"),
    partition(
        "aws-cn",
        "amazonaws.com.cn",
        "api.amazonwebservices.com.cn",
        "cn-north-1",
        "iam.cn-north-1",
    ),
    partition("aws-us-gov", "amazonaws.com", "api.aws", "us-gov-west-1", "iam.us-gov"),
    partition(
        "aws-iso",
        "c2s.ic.gov",
        "api.aws.ic.gov",
        "us-iso-east-1",
        "iam.us-iso-east-1",
    ),
    partition(
        "aws-iso-b",
        "sc2s.sgov.gov",
        "api.aws.scloud",
        "us-isob-east-1",
        "iam.us-isob-east-1",
    ),
    partition(
        "aws-iso-e",
        "cloud.adc-e.uk",
        "api.cloud-aws.adc-e.uk",
        "eu-isoe-west-1",
        "iam.eu-isoe-west-1",
    ),
    partition(
        "aws-iso-f",
        "csp.hci.ic.gov",
        "api.aws.hci.ic.gov",
        "us-isof-south-1",
        "iam.us-isof-south-1",
    ),
    partition(
        "aws-eusc",
        "amazonaws.eu",
        "api.amazonwebservices.eu",
        "eusc-de-east-1",
        "iam.eusc-de-east-1",
    ),
];

/// Where AWS itself has a service for a region.
pub(crate) fn of_aws(service: Service, region: &str, variant: Variant) -> Place {
    let name = partition_of_region(region);
    let partition = PARTITIONS
        .iter()
        .find(|partition| partition.name == name)
        .unwrap_or(&PARTITIONS[0]);
    let suffix = if variant.dual_stack {
        partition.dual_stack_suffix
    } else {
        partition.suffix
    };
    let fips = if variant.fips { "-fips" } else { "" };
    let host = match service {
        Service::Iam => match (partition.name, variant.dual_stack) {
            ("aws", true) => format!("iam{fips}.global.{suffix}"),
            ("aws-us-gov", _) => format!("iam.us-gov.{suffix}"),
            ("aws", false) => format!("iam{fips}.{suffix}"),
            ("aws-cn", true) => format!("iam.global.{suffix}"),
            (_, true) => format!("iam{fips}.{suffix}"),
            (_, false) => format!(
                "{}.{suffix}",
                partition.iam_host.replacen("iam", &format!("iam{fips}"), 1)
            ),
        },
        Service::Sts => match (partition.name, variant.dual_stack) {
            ("aws-us-gov", false) => format!("sts.{region}.{suffix}"),
            _ => format!("sts{fips}.{region}.{suffix}"),
        },
        Service::Eks => match (partition.name, variant.dual_stack) {
            ("aws", false) if variant.fips => format!("fips.eks.{region}.{suffix}"),
            ("aws-us-gov", false) => format!("eks.{region}.{suffix}"),
            _ => format!("eks{fips}.{region}.{suffix}"),
        },
    };
    Place {
        url: format!("https://{host}"),
        region: match service {
            Service::Iam => partition.iam_region.to_owned(),
            Service::Sts | Service::Eks => region.to_owned(),
        },
    }
}

/// Whether a URL or host is AWS's own.
pub(crate) fn is_aws(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or(host).to_ascii_lowercase();
    PARTITIONS.iter().any(|partition| {
        [partition.suffix, partition.dual_stack_suffix]
            .iter()
            .any(|suffix| host.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_places() {
        let plain = Variant::default();
        let fips = Variant {
            fips: true,
            dual_stack: false,
        };
        let dual = Variant {
            fips: false,
            dual_stack: true,
        };
        for (service, region, variant, url, signed_for) in [
            (
                Service::Iam,
                "eu-west-1",
                plain,
                "https://iam.amazonaws.com",
                "us-east-1",
            ),
            (
                Service::Iam,
                "eu-west-1",
                fips,
                "https://iam-fips.amazonaws.com",
                "us-east-1",
            ),
            (
                Service::Iam,
                "eu-west-1",
                dual,
                "https://iam.global.api.aws",
                "us-east-1",
            ),
            (
                Service::Iam,
                "cn-northwest-1",
                plain,
                "https://iam.cn-north-1.amazonaws.com.cn",
                "cn-north-1",
            ),
            (
                Service::Iam,
                "us-gov-east-1",
                plain,
                "https://iam.us-gov.amazonaws.com",
                "us-gov-west-1",
            ),
            (
                Service::Iam,
                "us-gov-east-1",
                fips,
                "https://iam.us-gov.amazonaws.com",
                "us-gov-west-1",
            ),
            (
                Service::Iam,
                "us-iso-west-1",
                plain,
                "https://iam.us-iso-east-1.c2s.ic.gov",
                "us-iso-east-1",
            ),
            (
                Service::Iam,
                "us-isob-east-1",
                fips,
                "https://iam-fips.us-isob-east-1.sc2s.sgov.gov",
                "us-isob-east-1",
            ),
            (
                Service::Iam,
                "eu-isoe-west-1",
                plain,
                "https://iam.eu-isoe-west-1.cloud.adc-e.uk",
                "eu-isoe-west-1",
            ),
            (
                Service::Iam,
                "us-isof-east-1",
                plain,
                "https://iam.us-isof-south-1.csp.hci.ic.gov",
                "us-isof-south-1",
            ),
            (
                Service::Iam,
                "eusc-de-east-1",
                plain,
                "https://iam.eusc-de-east-1.amazonaws.eu",
                "eusc-de-east-1",
            ),
            (
                Service::Sts,
                "eu-west-1",
                plain,
                "https://sts.eu-west-1.amazonaws.com",
                "eu-west-1",
            ),
            (
                Service::Sts,
                "us-east-1",
                fips,
                "https://sts-fips.us-east-1.amazonaws.com",
                "us-east-1",
            ),
            (
                Service::Sts,
                "us-gov-west-1",
                fips,
                "https://sts.us-gov-west-1.amazonaws.com",
                "us-gov-west-1",
            ),
            (
                Service::Sts,
                "cn-north-1",
                plain,
                "https://sts.cn-north-1.amazonaws.com.cn",
                "cn-north-1",
            ),
            (
                Service::Eks,
                "eu-west-1",
                plain,
                "https://eks.eu-west-1.amazonaws.com",
                "eu-west-1",
            ),
            (
                Service::Eks,
                "eu-west-1",
                dual,
                "https://eks.eu-west-1.api.aws",
                "eu-west-1",
            ),
            (
                Service::Eks,
                "us-east-1",
                fips,
                "https://fips.eks.us-east-1.amazonaws.com",
                "us-east-1",
            ),
            (
                Service::Eks,
                "us-gov-west-1",
                fips,
                "https://eks.us-gov-west-1.amazonaws.com",
                "us-gov-west-1",
            ),
            (
                Service::Eks,
                "cn-north-1",
                plain,
                "https://eks.cn-north-1.amazonaws.com.cn",
                "cn-north-1",
            ),
        ] {
            let place = of_aws(service, region, variant);
            assert_eq!(
                (place.url.as_str(), place.region.as_str()),
                (url, signed_for),
                "{region}"
            );
            assert!(is_aws(&place.url), "{url}");
        }
    }

    #[test]
    fn other_servers_are_not_aws() {
        for url in [
            "http://127.0.0.1:4700",
            "https://amazonaws.com.example.org",
            "https://notamazonaws.com",
            "https://localhost:4701/",
        ] {
            assert!(!is_aws(url), "{url}");
        }
        assert!(is_aws("https://IAM.amazonaws.com:443/"));
    }
}
