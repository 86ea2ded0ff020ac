#define BOOST_TEST_MODULE config
#include "config/load.h"

#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "config/file.h"
#include "config/keys.h"
#include "config/limits.h"

namespace skald::config {
namespace {

using namespace std::string_literals;

LoadRequest from_file(const std::string& text) {
  LoadRequest request;
  request.file = ConfigFile{"node.toml", text};
  return request;
}

LoadRequest from_environment(const std::string& name, const std::string& value) {
  LoadRequest request;
  request.environment.emplace_back(name, value);
  return request;
}

/// The error message, or "loaded".
std::string outcome(const LoadRequest& request) {
  const Result<Loaded> loaded = load(request);
  return loaded ? "loaded" : loaded.error().message;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string header(const Key& key) {
  const std::string section(key.section);
  return section == kListenerSection ? "[[listener]]\n" : "[" + section + "]\n";
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

std::string variable(const Key& key) {
  return "SKALD_" + upper(key.section) + "__" + upper(key.name);
}

std::string unquoted(const std::string& value) {
  return value.starts_with('"') ? value.substr(1, value.size() - 2) : value;
}

/// One value of one key, by file and by environment, with all else at its default.
void check_value(const Key& key, const std::string& value, bool accepted) {
  BOOST_TEST_CONTEXT(key.section << "." << key.name << " = " << value) {
    const std::string file =
        outcome(from_file(header(key) + std::string(key.name) + " = " + value));
    const std::string variable_text = outcome(from_environment(variable(key), unquoted(value)));
    if (accepted) {
      BOOST_TEST(file == "loaded");
      BOOST_TEST(variable_text == "loaded");
      return;
    }
    BOOST_TEST(contains(file, "node.toml:2: "));
    BOOST_TEST(contains(variable_text, "environment " + variable(key) + ": "));
    for (const std::string& error : {file, variable_text}) {
      BOOST_TEST(contains(error, key.name));
      BOOST_TEST(contains(error, value));
      BOOST_TEST(contains(error, "must be " + allowed(key)));
    }
  }
}

/// A rule between two keys refuses part of what the row of each allows.
bool has_partner(const Key& key) {
  return key.name == "write_buffer_low" || key.name == "write_buffer_high";
}

BOOST_AUTO_TEST_CASE(defaults_need_nothing) {
  const Result<Loaded> loaded = load({});
  BOOST_REQUIRE(loaded.ok());
  BOOST_TEST((loaded->options == Options{}));
  BOOST_TEST(loaded->origins.empty());
}

BOOST_AUTO_TEST_CASE(each_row_fits_its_field_and_its_default) {
  for (const Key& key : keys()) {
    BOOST_TEST_CONTEXT(key.section << "." << key.name) {
      Options options;
      const Field field = key.field(options, 0);
      std::uint64_t widest = ~std::uint64_t{0} >> 1;
      if (std::holds_alternative<std::uint16_t*>(field)) widest = 0xffff;
      if (std::holds_alternative<std::uint32_t*>(field)) widest = 0xffff'ffff;
      BOOST_TEST(key.min >= 0);
      BOOST_TEST(key.max >= key.min);
      BOOST_TEST(static_cast<std::uint64_t>(key.max) <= widest);
      BOOST_TEST(!key.doc.empty());
      BOOST_TEST(find_key(key.section, key.name) == &key);
      check_value(key, value_text(key, options, 0), true);
    }
  }
}

BOOST_AUTO_TEST_CASE(each_number_has_its_limits) {
  for (const Key& key : keys()) {
    if (type_name(key) != "integer") continue;
    check_value(key, "-1", false);
    check_value(key, "-9223372036854775808", false);
    check_value(key, "9223372036854775807", false);
    check_value(key, "9223372036854775808", false);  // one beyond what TOML can hold
    check_value(key, "99999999999999999999999", false);
    check_value(key, std::to_string(key.max + 1), false);
    check_value(key, "1.5", false);
    if (key.min > 0) check_value(key, std::to_string(key.min - 1), false);
    if (has_partner(key)) continue;
    check_value(key, "0", key.min == 0);
    check_value(key, std::to_string(key.min), true);
    check_value(key, std::to_string(key.max), true);
  }
}

BOOST_AUTO_TEST_CASE(each_key_refuses_other_types) {
  for (const Key& key : keys()) {
    const std::string_view type = type_name(key);
    if (type == "integer" || type == "boolean") check_value(key, "word", false);
    if (type == "boolean") check_value(key, "1", false);
    const std::string name(key.name);
    const std::string wrong = type == "integer" || type == "boolean" ? "\"12\"" : "12";
    for (const std::string& value : {wrong, std::string("[]"), std::string("1979-05-27")}) {
      const std::string error = outcome(from_file(header(key) + name + " = " + value));
      BOOST_TEST(contains(error, "node.toml:2: "), name << " = " << value << ": " << error);
      BOOST_TEST(contains(error, name));
      BOOST_TEST(contains(error, "must be " + allowed(key)));
    }
  }
}

struct Case {
  const char* what;
  const char* text;
  const char* error;  // all of it; what begins with ~ need only be contained
};

const Case kBadFiles[] = {
    {"unknown key", "[mqtt]\nmax_inflght = 30",
     "node.toml:2: [mqtt] unknown key max_inflght = 30; did you mean max_inflight?"},
    {"key of another section", "[mqtt]\nport = 30",
     "node.toml:2: [mqtt] unknown key port = 30; it is a key of [listener]"},
    {"key like no other", "[log]\nqwertyuiop = 'x'",
     "node.toml:2: [log] unknown key qwertyuiop = \"x\""},
    {"unknown section", "\n[mqqt]\nmax_inflight = 30",
     "node.toml:3: unknown section [mqqt] (for max_inflight); did you mean [mqtt]?"},
    {"empty unknown section", "[elsewhere]",
     "node.toml:1: unknown section [elsewhere]; sections are node, listener, mqtt, auth, admin, "
     "log, user, tenant"},
    {"key outside of sections", "port = 1", "node.toml:1: port: a key must stand in a [section]"},
    {"a section twice as array", "[[mqtt]]\n",
     "node.toml:1: [[mqtt]]: only [[listener]] and [[user]] may stand more than once"},
    {"one listener as table", "[listener]\nport = 1",
     "node.toml:1: listener: write [[listener]], once for each address"},
    {"no listener", "listener = []",
     "node.toml:1: listener: write [[listener]], once for each address"},
    {"choice", "[log]\nlevel = 'loud'",
     "node.toml:2: [log] level = \"loud\": must be one of \"error\" \"warning\" \"notice\" \"info\""
     " \"debug\""},
    {"control characters", "[node]\nname = \"a\\nb\\u007f\"",
     "node.toml:2: [node] name = \"a\\u000Ab\\u007F\": must be a string of 1 to 255 bytes"},
    {"a key's name may hold anything", "[node]\n\"a\\nb\" = 1",
     "node.toml:2: [node] unknown key a\\u000Ab = 1"},
    {"empty name", "[node]\nname = ''",
     "node.toml:2: [node] name = \"\": must be a string of 1 to 255 bytes"},
    {"bad address", "[[listener]]\nbind = 'localhost'",
     "node.toml:2: [[listener]] bind = \"localhost\": must be an IPv4 or IPv6 address"},
    {"two listeners on one port", "[[listener]]\n[[listener]]\nport = 1883",
     "node.toml:3: [[listener]] port = 1883: is that of another listener"},
    {"low above high", "[mqtt]\nwrite_buffer_low = 5000\nwrite_buffer_high = 5000",
     "node.toml:2: [mqtt] write_buffer_low = 5000: must be below write_buffer_high = 5000"},
    {"open to others", "[[listener]]\nbind = '192.0.2.1'",
     "~is open to others and nothing says who they may be"},
    {"syntax", "[mqtt\n", "~node.toml:1: "},
    {"no name", "[mqtt]\n[[(\n", "~node.toml:2: "},
    {"key twice", "[mqtt]\nmax_inflight = 30\nmax_inflight = 40", "~node.toml:3: "},
    {"several at once, by line",
     "[mqtt]\nreceive_maximum = 0\n[node]\nloops = -1\n[log]\nformat = 'xml'\n[x]\ny = 1",
     "node.toml:2: [mqtt] receive_maximum = 0: must be an integer from 1 to 65535\n"
     "node.toml:4: [node] loops = -1: must be an integer from 0 to 1024\n"
     "node.toml:6: [log] format = \"xml\": must be one of \"text\" \"json\"\n"
     "node.toml:8: unknown section [x] (for y); sections are node, listener, mqtt, auth, admin, "
     "log, user, tenant"},
};

BOOST_AUTO_TEST_CASE(bad_files_are_refused_with_the_reason) {
  for (const Case& c : kBadFiles) {
    BOOST_TEST_CONTEXT(c.what) {
      const std::string error = outcome(from_file(c.text));
      if (c.error[0] == '~') {
        BOOST_TEST(contains(error, c.error + 1), error);
      } else {
        BOOST_TEST(error == c.error);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(bytes_that_never_reach_the_parser) {
  for (const char c : {'\0', '\x01', '\x1b', '\x7f', '\r'}) {
    const std::string text = std::string("[mqtt]\n[[") + c + "]]";
    BOOST_TEST(outcome(from_file(text)) == "node.toml:2: holds a control character");
  }
  const std::string u = "\xc3\xbc";
  for (const std::string& bad :
       {u, "[" + u + "]", "a = 'b'" + u, "a = \"\\\\\"" + u, "a = '''b'''''" + u,
        "a = \"\"\"\n\"\"\"\"\"" + u, "a = 'b\n" + u, "# a\n" + u}) {
    BOOST_TEST(contains(outcome(from_file(bad)), "beyond ASCII outside of quotes"), bad);
  }
  for (const std::string& bad : {"a = '" + u, "a = '''\n''" + u, "d=-.'\xef\xbb\xba:"s}) {
    BOOST_TEST(contains(outcome(from_file(bad)), "beyond ASCII in single quotes"), bad);
  }
  for (const char* bad :
       {"#\xff", "a = \"\xc3", "#\xc0\x80", "#\xed\xa0\x80", "#\xf4\x90\x80\x80"}) {
    BOOST_TEST(contains(outcome(from_file(bad)), "is not UTF-8"), bad);
  }
  for (const std::string& bad : {"a = \"\\" + u, "a = \"\"\"\n\\ \n\t" + u}) {
    BOOST_TEST(contains(outcome(from_file(bad)), "beyond ASCII after a backslash"), bad);
  }
  for (const char* bad : {"a = 6'b'", "a = 'b' 'c'", "a 'b' = 1", "[a'b']", "'a'\"b\""}) {
    BOOST_TEST(outcome(from_file(bad)) == "node.toml:1: holds a quote out of place", bad);
  }
  for (const std::string& good :
       {"#'" + u, "[node]\r\n\tname = \"" + u + "\" #" + u, "[node]\nname = \"\\\"" + u + "\"",
        "[node]\nname = \"\"\"\\\n  a" + u + "\"\"\"\"\"", "[node]\nname = '\\'#" + u,
        "[node]\nname = \"\xf0\x9f\x8e\x89\""s}) {
    BOOST_TEST(outcome(from_file(good)) == "loaded", good);
  }
}

BOOST_AUTO_TEST_CASE(too_much_is_refused) {
  BOOST_TEST(contains(outcome(from_file(std::string(kMaxConfigFileBytes + 1, '\n'))), "larger"));
  std::string listeners;
  for (std::size_t i = 0; i <= kMaxListeners; ++i) {
    listeners += "[[listener]]\nport = " + std::to_string(i + 1) + "\n";
  }
  BOOST_TEST(contains(outcome(from_file(listeners)), "at most 64"));
  const std::string long_name =
      outcome(from_file("[node]\nname = '" + std::string(9999, 'x') + "'"));
  BOOST_TEST(contains(long_name, "xxx...\": must be a string of 1 to 255 bytes"));
  BOOST_TEST(long_name.size() < 400);
  std::string unknown = "[mqtt]\n";
  for (std::size_t i = 0; i < kMaxReportedErrors + 7; ++i) {
    unknown += "k" + std::to_string(i) + " = 1\n";
  }
  BOOST_TEST(contains(outcome(from_file(unknown)), "\nand 7 more"));
}

BOOST_AUTO_TEST_CASE(environment_names) {
  BOOST_TEST(outcome(from_environment("PATH", "/bin")) == "loaded");
  BOOST_TEST(outcome(from_environment("SKALD_MQTT__MAX_INFLIGHT", "77")) == "loaded");
  BOOST_TEST(outcome(from_environment("SKALD_MQTT_MAX_INFLIGHT", "77")) ==
             "environment SKALD_MQTT_MAX_INFLIGHT: not SKALD_<SECTION>__<KEY>");
  BOOST_TEST(outcome(from_environment("SKALD_MQTT__MAX_INFLGHT", "77")) ==
             "environment SKALD_MQTT__MAX_INFLGHT: [mqtt] unknown key max_inflght = \"77\"; did "
             "you mean max_inflight?");
  for (const char* number : {"", " 77", "77 ", "0x20", "+77", "77k", "99999999999999999999"}) {
    BOOST_TEST(contains(outcome(from_environment("SKALD_MQTT__MAX_INFLIGHT", number)),
                        "must be an integer from 20 to 65535"),
               number);
  }
  LoadRequest two = from_file("[[listener]]\nport = 1\n[[listener]]\nport = 2\n");
  two.environment.emplace_back("SKALD_LISTENER__PORT", "3");
  BOOST_TEST(contains(outcome(two), "which of the 2 listeners"));
}

BOOST_AUTO_TEST_CASE(strings_are_well_formed) {
  for (const char* good : {"a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                           "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    BOOST_TEST(outcome(from_environment("SKALD_NODE__NAME", good)) == "loaded", good);
  }
  for (const char* bad :
       {"\x1f", "\x7f", "\x80", "\xc1\xbf", "\xc3", "\xc3(", "\xe0\x9f\xbf", "\xed\xa0\x80",
        "\xef\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    BOOST_TEST(contains(outcome(from_environment("SKALD_NODE__NAME", bad)), "must be"), bad);
  }
}

BOOST_AUTO_TEST_CASE(later_sources_win_and_say_so) {
  LoadRequest request = from_file(
      "[node]\ndata_dir = '/file'\nname = 'n1'\n[[listener]]\nport = 1\n[[listener]]\nport = 2\n"
      "[mqtt]\nmax_inflight = 30\n");
  request.environment.emplace_back("SKALD_MQTT__MAX_INFLIGHT", "40");
  request.environment.emplace_back("SKALD_NODE__DATA_DIR", "/environment");
  request.overrides.push_back({"--data", "node", "data_dir", "/flag"});
  request.port = "3";
  const Result<Loaded> loaded = load(request);
  BOOST_REQUIRE(loaded.ok());
  BOOST_TEST(loaded->options.node.name == "n1");
  BOOST_TEST(loaded->options.node.data_dir == "/flag");
  BOOST_TEST(loaded->options.mqtt.max_inflight == 40);
  BOOST_TEST((loaded->options.listeners == std::vector{Listener{"127.0.0.1", 3, 1024}}));
  const Origins expected = {{"node.data_dir", "command line --data"},
                            {"node.name", "node.toml:3"},
                            {"listener[0].bind", "command line --port"},
                            {"listener[0].port", "command line --port"},
                            {"mqtt.max_inflight", "environment SKALD_MQTT__MAX_INFLIGHT"}};
  BOOST_TEST((loaded->origins == expected));
}

BOOST_AUTO_TEST_CASE(what_is_printed_loads_to_the_same) {
  const Result<Loaded> loaded =
      load(from_file("[node]\nname = \"a\\\"b\\\\c \xc3\xbc\"\n[[listener]]\nbind = '::1'\nport = "
                     "1\n[[listener]]\n"
                     "port = 0\n[log]\nformat = 'json'\n[mqtt]\nretain_available = false\n"));
  BOOST_REQUIRE(loaded.ok());
  const std::string printed = print_config(*loaded);
  BOOST_TEST(contains(printed, "\nmax_inflight = 256  # default\n"));
  BOOST_TEST(contains(printed, "\nformat = \"json\"  # node.toml:9\n"));
  const Result<Loaded> again = load(from_file(printed));
  BOOST_REQUIRE(again.ok());
  BOOST_TEST((again->options == loaded->options));
}

BOOST_AUTO_TEST_CASE(anonymous_clients_beyond_loopback_need_a_word) {
  for (const char* address : {"127.0.0.1", "127.8.9.10", "::1"}) {
    BOOST_TEST(outcome(from_file("[[listener]]\nbind = '" + std::string(address) + "'")) ==
               "loaded");
    BOOST_TEST(is_loopback(address));
  }
  for (const char* address : {"0.0.0.0", "::", "10.0.0.1", "128.0.0.1", "::ffff:127.0.0.1"}) {
    const std::string listener = "[[listener]]\nbind = '" + std::string(address) + "'\n";
    BOOST_TEST(contains(outcome(from_file(listener)), "allow_anonymous"));
    BOOST_TEST(outcome(from_file(listener + "[mqtt]\nallow_anonymous = true")) == "loaded");
  }
}

const char* const kAccounts = R"([[user]]
name = "bob"
password = "$6$x$y"
[[user]]
name = "acme/eve"
password = "hash"
publish = ["a/#", "!a/\"b"]
subscribe = []
[tenant.acme]
profile = "bifromq"
MaxTopicLevels = 20
RetainEnabled = false
[tenant."x.y"]
TotalConnections = 5
)";

BOOST_AUTO_TEST_CASE(users_and_tenants) {
  const Result<Loaded> loaded = load(from_file(kAccounts));
  BOOST_REQUIRE(loaded.ok());
  const Options& options = loaded->options;
  BOOST_REQUIRE(options.users.size() == 2U);
  BOOST_TEST(options.users[0].name == "bob");
  BOOST_TEST(options.users[0].place.text == "node.toml:1");
  BOOST_TEST(!options.users[0].publish.has_value());
  BOOST_TEST((options.users[1].publish == std::vector<std::string>{"a/#", "!a/\"b"}));
  BOOST_TEST(options.users[1].subscribe->empty());
  BOOST_TEST(!options.users[1].receive.has_value());
  BOOST_REQUIRE(options.tenants.size() == 2U);
  const TenantSettings& acme = options.tenants[0].settings;
  BOOST_TEST(options.tenants[0].name == "acme");
  BOOST_TEST(acme.get(TenantKey::max_topic_levels) == 20);
  BOOST_TEST(!acme.is_set(TenantKey::retain_enabled));
  BOOST_TEST(acme.get(TenantKey::max_topic_filters_per_sub) == 10);
  BOOST_TEST(options.tenants[1].settings.get(TenantKey::total_connections) == 5);
  const Result<Loaded> again = load(from_file(print_config(*loaded)));
  BOOST_REQUIRE(again.ok());
  BOOST_TEST((again->options == options));
}

BOOST_AUTO_TEST_CASE(bad_users_and_tenants) {
  const std::pair<const char*, const char*> cases[] = {
      {"[[user]]\nname = 'a'", "node.toml:1: [[user]] needs a name and a password"},
      {"[[user]]\nname = 'a'\npassword = 5", "node.toml:3: password: must be"},
      {"[[user]]\nname = ''\npassword = 'x'", "node.toml:2: name: must be"},
      {"[[user]]\nname = 'a'\npasswort = 'secret'", "node.toml:3: [[user]] unknown key passwort"},
      {"[[user]]\nname = 'a'\npassword = 'x'\npublish = 'a'", "node.toml:4: publish: must be"},
      {"[[user]]\nname = 'a'\npassword = 'x'\npublish = [1]", "node.toml:4: publish: must be"},
      {"user = 5", "[[user]]"},
      {"[user]\nname = 'a'", "[[user]]"},
      {"tenant = 5", "[tenant.<name>]"},
      {"[tenant]\nx = 5", "[tenant.<name>]"},
      {"[tenant.a]\nprofile = 'x'", "node.toml:2: profile: must be one of"},
      {"[tenant.a]\nMaximumQoS = 3", "node.toml:2: MaximumQoS: must be an integer from 0 to 2"},
      {"[tenant.a]\nRetainEnabled = 1", "node.toml:2: RetainEnabled: must be true or false"},
      {"[tenant.a]\nRetainEnable = true", "unknown key RetainEnable"},
      {"[tenant.\"a/b\"]\nprofile = 'home'", "a tenant's name"},
  };
  for (const auto& [text, error] : cases) {
    BOOST_TEST_CONTEXT(text) {
      const std::string got = outcome(from_file(text));
      BOOST_TEST(contains(got, error), got);
      BOOST_TEST(!contains(got, "secret"));
    }
  }
  BOOST_TEST(!contains(outcome(from_file("[[user]]\npassword = 'sec\nret'")), "sec"));
  BOOST_TEST(outcome(from_file("[[listener]]\nbind = '0.0.0.0'\n" + std::string(kAccounts))) ==
             "loaded");
}

BOOST_AUTO_TEST_CASE(the_table_of_tenant_settings) {
  BOOST_TEST(tenant_rows().size() == 59U);
  for (const TenantRow& row : tenant_rows()) {
    BOOST_TEST_CONTEXT(row.name) {
      BOOST_TEST(!row.name.empty());
      BOOST_TEST(!row.meaning.empty());
      for (const std::int64_t value : row.defaults) {
        BOOST_TEST(value >= row.min);
        BOOST_TEST(value <= row.max);
      }
    }
  }
  // The first and the last of each part stand where their keys say.
  BOOST_TEST(tenant_rows()[0].name == "MQTT3Enabled");
  const auto name = [](TenantKey key) { return tenant_rows()[static_cast<std::size_t>(key)].name; };
  BOOST_TEST(name(TenantKey::retain_message_match_limit) == "RetainMessageMatchLimit");
  BOOST_TEST(name(TenantKey::total_connections) == "TotalConnections");
  BOOST_TEST(name(TenantKey::total_retain_match_bytes_per_second) ==
             "TotalRetainMatchBytesPerSecond");
}

BOOST_AUTO_TEST_CASE(a_missing_file_is_named) {
  const Result<ConfigFile> missing = read_config_file("/nonexistent/node.toml");
  BOOST_REQUIRE(!missing.ok());
  BOOST_TEST(missing.error().message == "/nonexistent/node.toml: No such file or directory");
  const Result<ConfigFile> folder = read_config_file("/");
  BOOST_REQUIRE(!folder.ok());
  BOOST_TEST(contains(folder.error().message, "/: "));
}

/// README.md holds the reference between two markers. UPDATE_GOLDEN=1 rewrites it there.
BOOST_AUTO_TEST_CASE(the_readme_tells_the_same) {
  constexpr std::string_view kBegin = "<!-- config reference: begin -->\n";
  constexpr std::string_view kEnd = "<!-- config reference: end -->";
  const std::string path = std::string(SKALD_SOURCE_ROOT) + "/README.md";
  std::stringstream read;
  read << std::ifstream(path).rdbuf();
  std::string readme = read.str();
  const std::size_t begin = readme.find(kBegin);
  const std::size_t end = readme.find(kEnd);
  BOOST_REQUIRE(begin != std::string::npos);
  BOOST_REQUIRE(end != std::string::npos);
  const std::size_t from = begin + kBegin.size();
  if (std::getenv("UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path) << readme.replace(from, end - from, reference());
    return;
  }
  BOOST_TEST((readme.substr(from, end - from) == reference()),
             "run ./dev test with UPDATE_GOLDEN=1, and commit README.md");
}

}  // namespace
}  // namespace skald::config
