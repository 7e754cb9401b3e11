/*
 * weir_http.hpp - HTTP requests to the servers that the operator's `grants.http` names.
 *
 *     #include "sdk/weir_http.hpp"
 *
 *     weir::Result<weir::Outputs> process(const weir::Message &message) {
 *         const auto response = weir::http::Request("https://api.example.com/rates")
 *                                   .method("POST")
 *                                   .body(message.payload())
 *                                   .timeout(2s)
 *                                   .send();
 *         if (!response) return weir::retry(response.error().reason);
 *         if (response->status != 200) return weir::reject("status ", response->status);
 *         return weir::Output::text(response->text());
 *     }
 *
 * A request is at least once, as its message is: send the sequence as an idempotency key where a repeat
 * does harm. A plugin that calls nothing of this file imports no HTTP and needs no grant.
 */
#ifndef WEIR_HTTP_HPP
#define WEIR_HTTP_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir.hpp"
#include "weir_http.h"

namespace weir::http {

/// In which way a request failed.
enum class Failure : std::uint8_t {
    /// Not granted. The host's log says it, too.
    denied = WEIR_HTTP_DENIED,
    timeout = WEIR_HTTP_TIMEOUT,
    /// The body is larger than the operator's `limits.http-response`.
    too_large = WEIR_HTTP_TOO_LARGE,
    /// No connection, no HTTP, or nothing that can be sent.
    failed = WEIR_HTTP_FAILED,
};

/// Why there is no response. Through `WEIR_TRY` it is a rejection.
struct Error {
    Failure kind;
    /// In words, with the server's name.
    std::string reason;

    operator weir::Error() const { return weir::Error::reject(reason); }
};

/// A response, whatever its status. Views of it live until the call is over.
class Response {
   public:
    explicit Response(const weir_http_response &response)
        : status(response.status), response_(response) {}

    std::uint16_t status;

    /// At most as many bytes as the operator's `limits.http-response`.
    [[nodiscard]] std::span<const std::byte> body() const {
        return std::as_bytes(std::span(response_.body.data, response_.body.size));
    }
    /// The body as text; whether it is UTF-8 is not checked.
    [[nodiscard]] std::string_view text() const { return view(response_.body); }
    /// The body as JSON; a rejection that says what is wrong and where.
    [[nodiscard]] Result<Json> json() const {
        weir_text error{};
        if (const weir_json *json = weir_parse_json(response_.body, &error)) return Json(json, "response");
        return reject("cannot read the response as JSON: ", view(error));
    }
    /// The first value of a header; names are compared without regard to case.
    [[nodiscard]] std::optional<std::string_view> header(const char *name) const {
        weir_text value{};
        if (!weir_http_find_header(&response_, name, &value)) return std::nullopt;
        return view(value);
    }
    /// The headers in order, for `for`. The names are in lower case.
    [[nodiscard]] auto headers() const {
        return std::span(response_.headers.items, response_.headers.size) |
               std::views::transform([](const weir_header &header) {
                   return Header{view(header.name), view(header.value)};
               });
    }

   private:
    weir_http_response response_;
};

/// A request: GET unless it says otherwise. What it is given must live until it is sent.
class Request {
   public:
    /// `http://` or `https://`.
    explicit Request(std::string_view url) { request_.url = weir::text(url); }

    Request &method(std::string_view method) {
        request_.method = weir::text(method);
        return *this;
    }
    /// `content-length` is added, and `host` is that of the address.
    Request &header(std::string_view name, std::string_view value) {
        headers_.push_back({weir::text(name), weir::text(value)});
        return *this;
    }
    Request &body(std::string_view body) {
        request_.body = body.data() ? weir::text(body) : weir_text_of("");
        return *this;
    }
    Request &body(std::span<const std::byte> body) {
        return this->body({reinterpret_cast<const char *>(body.data()), body.size()});
    }
    /// The most that it waits for a connection, for the answer, and between parts of the answer. Otherwise
    /// it is half of the operator's `limits.deadline`.
    Request &timeout(std::chrono::milliseconds timeout) {
        request_.timeout_ms = timeout.count() < 1 ? 1 : static_cast<std::uint64_t>(timeout.count());
        return *this;
    }
    /// Sends it and waits for its response.
    [[nodiscard]] std::expected<Response, Error> send() {
        request_.headers = {headers_.data(), headers_.size()};
        weir_http_response response{};
        weir_http_error error{};
        if (weir_http_send(&request_, &response, &error)) return Response(response);
        return std::unexpected(Error{static_cast<Failure>(error.kind), std::string(view(error.reason))});
    }

   private:
    weir_http_request request_{};
    std::vector<weir_header> headers_;
};

/// Sends a GET and waits for its response.
[[nodiscard]] inline std::expected<Response, Error> get(std::string_view url) { return Request(url).send(); }

}  // namespace weir::http

#endif
