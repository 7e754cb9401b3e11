/*
 * The plugin of the conformance suite, in C++: see plugins/sdk/conformance/README.md.
 */
#include <array>

#include "sdk/weir.hpp"
#include "sdk/weir_http.hpp"

using weir::Json, weir::Message, weir::Output, weir::Outputs, weir::Result;

namespace {

Outputs describe(const Message &message) {
    std::vector<std::array<std::string_view, 2>> headers;
    for (const auto [name, value] : message.headers()) headers.push_back({name, value});
    return Output::json({{"subject", message.subject()},
                         {"length", message.payload().size()},
                         {"headers", headers},
                         {"key", message.key()},
                         {"event_time", message.event_time()},
                         {"sequence", message.sequence()},
                         {"attempt", message.attempt()}});
}

Result<Outputs> set(Json wanted) {
    using Text = std::optional<std::string_view>;
    Output output;
    if (const auto text = WEIR_TRY(wanted["text"].as<Text>())) output = Output::text(*text);
    if (const auto subject = WEIR_TRY(wanted["subject"].as<Text>())) output.subject(*subject);
    if (const auto key = WEIR_TRY(wanted["key"].as<Text>())) output.key(*key);
    if (wanted["headers"].exists()) output.without_headers();
    for (const Json header : wanted["headers"].items()) {
        const auto name = WEIR_TRY(header[0].as<std::string>());
        output.header(name, WEIR_TRY(header[1].as<std::string>()));
    }
    return output;
}

Result<Outputs> many(Json wanted) {
    const auto count = WEIR_TRY(wanted["count"].as<std::size_t>());
    Outputs outputs;
    for (std::size_t index = 0; index < count; index++) {
        outputs.push_back(Output::json({{"index", index}}));
    }
    return outputs;
}

Result<Outputs> increment(Json wanted) {
    const auto n = WEIR_TRY(wanted["n"].as<std::int64_t>());
    if (n == std::numeric_limits<std::int64_t>::max()) return weir::reject("`n` has no next one");
    return Output::json({{"n", n + 1}});
}

Result<Outputs> retry(Json wanted) {
    const auto reason = WEIR_TRY(wanted["reason"].as<std::string_view>());
    const auto after = WEIR_TRY(wanted["after_ms"].as<std::optional<std::int64_t>>());
    if (after) return weir::retry_after(std::chrono::milliseconds(*after), reason);
    return weir::retry(reason);
}

Result<Outputs> http(Json wanted) {
    static constexpr std::array kinds{"denied", "timeout", "too-large", "failed"};
    const auto url = WEIR_TRY(wanted["url"].as<std::string_view>());
    weir::http::Request request(url);
    using Text = std::optional<std::string_view>;
    if (const auto method = WEIR_TRY(wanted["method"].as<Text>())) request.method(*method);
    for (const Json header : wanted["headers"].items()) {
        const auto name = WEIR_TRY(header[0].as<std::string_view>());
        request.header(name, WEIR_TRY(header[1].as<std::string_view>()));
    }
    if (const auto body = WEIR_TRY(wanted["body"].as<Text>())) request.body(*body);
    const auto timeout = WEIR_TRY(wanted["timeout_ms"].as<std::optional<std::int64_t>>());
    if (timeout) request.timeout(std::chrono::milliseconds(*timeout));
    const auto response = request.send();
    if (!response) {
        const auto kind = kinds[static_cast<std::size_t>(response.error().kind)];
        return weir::reject(kind, ": ", response.error().reason);
    }
    return Output::json({{"status", response->status},
                         {"type", response->header("Content-Type")},
                         {"length", response->body().size()},
                         {"body", response->text().substr(0, 100)}});
}

}  // namespace

class Conformance {
   public:
    static Result<Conformance> configure(Json config) {
        const auto refuse = WEIR_TRY(config["refuse"].as<std::optional<std::string>>());
        if (refuse) return weir::reject(*refuse);
        Conformance plugin;
        plugin.answer_ = config["answer"];
        return plugin;
    }

    Result<Outputs> process(const Message &message) {
        const std::string_view word = message.token(1);
        if (word == "pass") return weir::pass();
        if (word == "drop") return weir::drop();
        if (word == "echo") return Output(message.payload());
        if (word == "describe") return describe(message);
        if (word == "set") return set(WEIR_TRY(message.json()));
        if (word == "many") return many(WEIR_TRY(message.json()));
        if (word == "increment") return increment(WEIR_TRY(message.json()));
        if (word == "shout") return Output::text(weir::concat(WEIR_TRY(message.text()), "!"));
        if (word == "retry") return retry(WEIR_TRY(message.json()));
        if (word == "reject") return weir::reject(WEIR_TRY(message.text()));
        if (word == "raise") weir::panic(WEIR_TRY(message.text()));
        if (word == "count") return Output::json({{"count", ++count_}});
        if (word == "config") {
            return Output::json({{"pipeline", weir::config::pipeline()},
                                 {"operator", weir::config::operator_name()},
                                 {"answer", weir::config::get("/answer")},
                                 {"configured", answer_}});
        }
        if (word == "log") return log(WEIR_TRY(message.text()));
        if (word == "metrics") {
            weir::metrics::add("conform_added", 3);
            weir::metrics::set("conform_set", 2.5);
            weir::metrics::observe("conform_observed", 0.5);
            return weir::drop();
        }
        if (word == "http") return http(WEIR_TRY(message.json()));
        return weir::reject("no such case: ", word);
    }

   private:
    static Outputs log(std::string_view text) {
        weir::log::trace(text);
        weir::log::debug(text);
        weir::log::info(text);
        weir::log::warn(text);
        weir::log::error(text);
        return weir::drop();
    }

    Json answer_;
    std::uint64_t count_ = 0;
};

WEIR_PLUGIN(Conformance);
