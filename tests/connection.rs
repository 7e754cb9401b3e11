//! A host connects with what the server demands, and says in words what is missing or wrong: TLS,
//! a client's certificate, an nkey, a credentials file, a newer server.

use crate::harness::certificates::{Authority, Certified};
use crate::harness::identity::Operator;
use crate::harness::{NatsServer, Site, replaced};
use async_nats::ConnectOptions;
use nkeys::KeyPair;
use std::path::Path;

/// The `tls` block of a server with this certificate.
fn tls(server: &Certified, more: &str) -> String {
    format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\", {more} }}",
        server.certificate.display(),
        server.key.display(),
    )
}

/// The field `tls` of a pipeline that trusts this authority.
fn trusting(authority: &Path) -> String {
    format!("ca: \"{}\"", authority.display())
}

/// The fields of a client's certificate.
fn presenting(client: &Certified) -> String {
    format!(
        "cert: \"{}\", key: \"{}\"",
        client.certificate.display(),
        client.key.display(),
    )
}

/// A message flows through a pipeline whose `nats:` section has these fields besides the address.
#[track_caller]
fn flows(site: &Site, nats: &str) {
    let before = site.nats.client().count("OUT");
    let section = format!("nats: {{ {nats}, ");
    let _weir = site.run(&site.pipeline_but(&[("nats: { ", &section)], ""));
    site.nats.client().publish("in.a", "x");
    site.wait_for_messages("OUT", before + 1);
    site.wait_until_settled();
}

/// The same pipeline cannot connect: exit code 1, this cause, and this in the hint.
#[track_caller]
fn refused(site: &Site, nats: &str, cause: &str, hint: &str) {
    let url = site.nats.url();
    refused_at(site, &url, nats, cause, hint);
}

#[track_caller]
fn refused_at(site: &Site, url: &str, nats: &str, cause: &str, hint: &str) {
    let section = format!("nats: {{ {nats}, ");
    site.pipeline_but(&[("nats: { ", &section), (&site.nats.url(), url)], "");
    let ended = site.weir(&["run", "p.yaml", "--log-level", "off"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let (said, advice) = ended.stderr.split_once("\n\nhint: ").unwrap_or_default();
    let first = format!("error: cannot connect to nats at `{url}`\n  cause: ");
    let causes = said.strip_prefix(&first);
    assert!(
        causes.is_some_and(|causes| causes.contains(cause)),
        "{}",
        ended.stderr
    );
    assert!(advice.contains(hint), "{}", ended.stderr);
}

#[test]
fn a_server_with_tls_is_trusted_when_its_authority_is() {
    let (ours, strange) = (Authority::new("ours"), Authority::new("another"));
    let server = ours.sign("server", &["127.0.0.1"]);
    let site = Site::on(NatsServer::start_with(&tls(&server, "")));
    let options = ConnectOptions::new().add_root_certificates(ours.certificate());
    site.nats.client_with(options);
    site.create_streams();
    let trusting_ours = trusting(&ours.certificate());
    flows(&site, &format!("tls: {{ {trusting_ours} }}"));
    flows(
        &site,
        &format!("tls: {{ {trusting_ours}, required: true }}"),
    );

    let authority = "the PEM file of the authority that signed the server's certificate";
    let unknown = "invalid peer certificate: UnknownIssuer";
    let trusting_others = format!("tls: {{ {} }}", trusting(&strange.certificate()));
    refused(&site, &trusting_others, unknown, authority);
    refused(&site, "tls: {}", unknown, authority);
    let by_name = format!("nats://localhost:{}", site.nats.port());
    let trusting_ours = format!("tls: {{ {trusting_ours} }}");
    let name = "an address that the server's certificate has";
    refused_at(&site, &by_name, &trusting_ours, "not valid for name", name);
}

#[test]
fn a_server_that_demands_a_certificate_gets_the_one_that_is_configured() {
    let (ours, strange) = (Authority::new("ours"), Authority::new("another"));
    let server = ours.sign("server", &["127.0.0.1"]);
    let (client, stranger) = (ours.sign("client", &[]), strange.sign("client", &[]));
    let verify = format!(
        "verify: true, ca_file: \"{}\"",
        ours.certificate().display()
    );
    let site = Site::on(NatsServer::start_with(&tls(&server, &verify)));
    let options = ConnectOptions::new()
        .add_root_certificates(ours.certificate())
        .add_client_certificate(client.certificate.clone(), client.key.clone());
    site.nats.client_with(options);
    site.create_streams();
    let ca = trusting(&ours.certificate());
    flows(&site, &format!("tls: {{ {ca}, {} }}", presenting(&client)));

    let hint = "`nats.tls.cert` and `nats.tls.key`";
    let without = format!("tls: {{ {ca} }}");
    refused(&site, &without, "refused the client's certificate", hint);
    let wrong = format!("tls: {{ {ca}, {} }}", presenting(&stranger));
    refused(&site, &wrong, "refused the client's certificate", hint);
}

#[test]
fn a_server_that_begins_with_tls_is_met_with_tls() {
    let ours = Authority::new("ours");
    let server = ours.sign("server", &["127.0.0.1"]);
    let site = Site::on(NatsServer::start_with(&tls(
        &server,
        "handshake_first: true",
    )));
    let options = ConnectOptions::new()
        .add_root_certificates(ours.certificate())
        .tls_first();
    site.nats.client_with(options);
    site.create_streams();
    let ca = trusting(&ours.certificate());
    flows(&site, &format!("tls: {{ {ca}, first: true }}"));
    refused(&site, &format!("tls: {{ {ca} }}"), "", "`nats.tls.first`");
}

#[test]
fn a_server_without_tls_is_refused_where_tls_is_demanded() {
    let ours = Authority::new("ours");
    let site = Site::bare();
    let ca = trusting(&ours.certificate());
    let cause = "the server does not speak TLS";
    let required = format!("tls: {{ {ca}, required: true }}");
    refused(&site, &required, cause, "`nats.tls.required`");
    let first = format!("tls: {{ {ca}, first: true }}");
    refused(&site, &first, cause, "`nats.tls.first`");
    let by_scheme = replaced(&site.nats.url(), &[("nats://", "tls://")]);
    let trusting = format!("tls: {{ {ca} }}");
    refused_at(&site, &by_scheme, &trusting, cause, "`tls://`");
}

#[test]
fn an_nkey_is_the_right_one_or_is_said_not_to_be() {
    let (host, stranger) = (KeyPair::new_user(), KeyPair::new_user());
    let configuration = format!(
        "authorization {{ users = [ {{ user: all, password: a }}, {{ nkey: {} }} ] }}\n\
         no_auth_user: all",
        host.public_key()
    );
    let site = Site::on(NatsServer::start_with(&configuration));
    site.create_streams();
    let seed = host.seed().unwrap();
    flows(&site, &format!("nkey: {seed}"));
    site.file("host.nk", format!("# of the host\n{seed}\n"));
    flows(&site, "nkey: host.nk");

    let hint =
        "check `nats.user`, `nats.password`, `nats.token`, `nats.nkey` or `nats.credentials`";
    let strange = format!("nkey: {}", stranger.seed().unwrap());
    refused(&site, &strange, "authorization violation", hint);
    // One letter changed: the seed's checksum is wrong.
    let end = if seed.ends_with('A') { 'B' } else { 'A' };
    let torn = format!("nkey: {}{end}", &seed[..seed.len() - 1]);
    refused(&site, &torn, "the seed is damaged", hint);
}

#[test]
fn a_credentials_file_is_one_of_the_servers_operator_and_in_date() {
    let (ours, strange) = (Operator::new(), Operator::new());
    let site = Site::on(NatsServer::start_with(&ours.server_configuration()));
    let options = ConnectOptions::with_credentials(&ours.credentials()).unwrap();
    site.nats.client_with(options);
    site.create_streams();
    site.file("host.creds", ours.credentials());
    flows(&site, "credentials: host.creds");

    let hint = "`nats.credentials`";
    site.file("strange.creds", strange.credentials());
    site.file("expired.creds", ours.expired_credentials());
    site.file("empty.creds", "no token in here\n");
    let strange = "credentials: strange.creds";
    refused(&site, strange, "authorization violation", hint);
    let expired = "credentials: expired.creds";
    refused(&site, expired, "authorization violation", hint);
    let empty = "credentials: empty.creds";
    refused(
        &site,
        empty,
        "cannot read the credentials file",
        "`nsc generate creds`",
    );
    refused(&site, "tls: {}", "authorization violation", hint);
}

#[test]
fn a_server_that_is_too_old_is_refused_with_the_way_out() {
    let site = Site::on(NatsServer::start_old());
    site.pipeline("");
    let url = site.nats.url();
    for arguments in [&["run", "p.yaml"][..], &["status"]] {
        let ended = site.weir(&[arguments, &["--log-level", "off"]].concat());
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let start =
            format!("error: cannot use the nats server at `{url}`\n  cause: it is version 2.");
        assert!(ended.stderr.starts_with(&start), "{}", ended.stderr);
        let end = "weir needs 2.11.0 or later\n\nhint: update nats-server: older servers \
                   accept unknown settings and ignore them\n";
        assert!(ended.stderr.ends_with(end), "{}", ended.stderr);
    }
}

/// The command line wins over the file, the file over the environment, and that over the default.
#[test]
fn the_server_is_that_of_the_command_line_of_the_file_or_of_the_environment() {
    let site = Site::new();
    let (ours, nobody) = (site.nats.url(), "nats://127.0.0.1:1");
    let bare = ours.trim_start_matches("nats://");
    let in_file = format!("url: \"{ours}\"");
    let connects = |file: &str, more: &[&str], environment: &str| {
        site.pipeline_but(&[(&in_file, file)], "");
        let arguments = [&["p.yaml"], more].concat();
        let mut weir = site.start_with(&arguments, &[("NATS_URL", environment)]);
        weir.wait_until_output("running");
    };
    connects(&format!("url: \"{nobody}\""), &["--nats", &ours], nobody);
    connects(&in_file, &[], nobody);
    connects("", &[], bare);
    // The file names none now.
    let asked = site.weir(&["status", "p.yaml", "--nats", nobody]);
    let cause = format!("cannot connect to nats at `{nobody}`");
    assert!(asked.stderr.contains(&cause), "{}", asked.stderr);
    let wrong = [("NATS_URL", "http://here")];
    let checked = site.weir_with(&["check", "p.yaml"], &wrong).finish();
    assert_eq!(checked.code, Some(2), "{}", checked.stderr);
    let said = "the environment variable `NATS_URL`: `http://` is not supported";
    assert!(checked.stderr.contains(said), "{}", checked.stderr);
}
