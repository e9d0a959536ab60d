use super::*;

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn flags(text: &str) -> Flags {
    match parse(&words(text)).unwrap() {
        Parsed::Flags(flags) => flags,
        Parsed::Help => panic!("help"),
    }
}

fn error(text: &str) -> String {
    parse(&words(text)).unwrap_err().to_string()
}

#[test]
fn defaults_are_the_references() {
    let flags = flags("");
    assert_eq!((flags.number("port"), flags.number("metrics-port")), (443, 9999));
    assert!(flags.switch("in-cluster") && !flags.switch("sts-regional-endpoint"));
    assert_eq!(flags.text("token-audience"), "sts.amazonaws.com");
    assert_eq!(flags.duration("resync-period"), Duration::from_secs(60));
    assert_eq!(flags.number("token-expiration"), 86_400);
}

#[test]
fn every_row_is_there_once_and_reads_its_own_default() {
    for (place, flag) in TABLE.iter().enumerate() {
        assert!(
            TABLE.iter().skip(place + 1).all(|other| other.name != flag.name),
            "{}",
            flag.name
        );
        read(flag, flag.default).unwrap();
        assert!(help().contains(&format!("--{}", flag.name)));
    }
}

#[test]
fn values_with_and_without_equals_signs() {
    let flags = flags(
        "--port=8443 --metrics-port 8080 positional --in-cluster=false --watch-config-map true -v=3 --resync-period 1m30s --aws-default-region=",
    );
    assert_eq!((flags.number("port"), flags.number("metrics-port")), (8443, 8080));
    assert!(!flags.switch("in-cluster") && flags.switch("watch-config-map"));
    assert_eq!(flags.duration("resync-period"), Duration::from_secs(90));
    assert_eq!((flags.number("v"), flags.text("aws-default-region")), (3, ""));
}

#[test]
fn a_switchs_value_is_never_the_next_word() {
    assert!(flags("--watch-config-map false").switch("watch-config-map"));
    assert!(!flags("--watch-config-map=F").switch("watch-config-map"));
    assert!(error("--watch-config-map=no").contains("strconv.ParseBool: parsing \"no\": invalid syntax"));
}

#[test]
fn what_a_text_begins_with_does_not_matter() {
    assert_eq!(flags("--token-audience --port").text("token-audience"), "--port");
    assert_eq!(flags("--port 1 --port 2 -- --unknown").number("port"), 2);
    assert_eq!(flags("- --port 5").number("port"), 5);
}

#[test]
fn klog_in_all_forms() {
    for text in ["-v 4", "-v4", "-v=4", "--v=4", "--v 4"] {
        assert_eq!(flags(text).number("v"), 4, "{text}");
    }
    flags(
        "--logtostderr --alsologtostderr=true --stderrthreshold=INFO --vmodule=a=1 --log_file_max_size 1 --skip_headers",
    );
}

#[test]
fn wrong_words_are_told_as_pflag_does() {
    for (text, expected) in [
        ("--nope", "unknown flag: --nope"),
        ("--nope=1", "unknown flag: --nope"),
        ("-port=1", "unknown shorthand flag: 'p' in -port=1"),
        ("-p", "unknown shorthand flag: 'p' in -p"),
        ("--=x", "bad flag syntax: --=x"),
        ("---x", "bad flag syntax: ---x"),
        ("--port", "flag needs an argument: --port"),
        ("-v", "flag needs an argument: 'v' in -v"),
        (
            "--port=x",
            "invalid argument \"x\" for \"--port\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
        ),
        (
            "--resync-period=5",
            "invalid argument \"5\" for \"--resync-period\" flag: time: missing unit in duration \"5\"",
        ),
        (
            "--on-refusal=maybe",
            "invalid argument \"maybe\" for \"--on-refusal\" flag: must be one of deny, warn",
        ),
        (
            "-v=x",
            "invalid argument \"x\" for \"-v, --v\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
        ),
    ] {
        assert_eq!(error(text), expected);
    }
}

#[test]
fn help_is_asked_for_by_name_or_letter() {
    for text in ["--help", "-h", "--port 1 -h --nope"] {
        assert!(matches!(parse(&words(text)), Ok(Parsed::Help)), "{text}");
    }
}

#[test]
fn durations_of_go() {
    for (text, nanos) in [
        ("0", 0),
        ("1h2m3s4ms5us6ns", 3_723_004_005_006),
        ("1.5s", 1_500_000_000),
        (".5m", 30_000_000_000),
        ("1.s", 1_000_000_000),
        ("2µs", 2_000),
        ("2μs", 2_000),
        ("+3ms", 3_000_000),
        ("-3ms", 0),
        ("2562047h", 9_223_369_200_000_000_000),
    ] {
        assert_eq!(go::duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
    }
    for text in [
        "",
        "-",
        "1",
        "s",
        "1x",
        "1 s",
        ".s",
        "1d",
        "2562048h",
        "99999999999999999999999999999999999999999h",
        "1e3s",
    ] {
        assert!(go::duration(text).is_err(), "{text}");
    }
}

#[test]
fn numbers_of_go() {
    for (text, number) in [
        ("0", 0),
        ("-5", -5),
        ("+5", 5),
        ("0x1F", 31),
        ("017", 15),
        ("0o17", 15),
        ("0b11", 3),
        ("1_000", 1_000),
        ("0x_f", 15),
        ("-9223372036854775808", i64::MIN),
    ] {
        assert_eq!(go::number(text), Ok(number), "{text}");
    }
    for text in [
        "",
        "-",
        " 1",
        "1.0",
        "08",
        "0x",
        "_1",
        "1_",
        "1__0",
        "9223372036854775808",
        "--1",
    ] {
        assert!(go::number(text).is_err(), "{text}");
    }
}
