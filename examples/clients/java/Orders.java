// The classic EventStore interface on Mainstem, with nothing but java.net.http, and an Order that
// is rebuilt from its events. Java has no JSON of its own: Json at the end reads what is needed.
//
//     java Orders.java http://127.0.0.1:8080
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.*;
import java.net.http.HttpClient.Version;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicInteger;
import static java.nio.charset.StandardCharsets.UTF_8;

public class Orders {
    static final String STREAM = "order-java-" + UUID.randomUUID();
    static final AtomicInteger conflicts = new AtomicInteger();
    static EventStore store;
    static boolean failed;

    static Order load() throws Exception { return new Order(store.readEvents(STREAM, 0)); }

    static long handle(Order.Decision command) throws Exception {
        while (true) {
            var order = load();
            try {
                return store.appendEvents(STREAM, command.decide(order), order.version);
            } catch (EventStore.Conflict somebodyWasFaster) {
                conflicts.incrementAndGet();
            }
        }
    }

    static void check(boolean holds, String claim) {
        System.out.println((holds ? "ok - " : "not ok - ") + claim);
        failed |= !holds;
    }

    static Exception refusal(Callable<Long> command) {
        try {
            command.call();
            return null;
        } catch (Exception refusal) {
            return refusal;
        }
    }

    public static void main(String[] arguments) throws Exception {
        store = new EventStore(arguments.length > 0 ? arguments[0] : "http://127.0.0.1:8080");
        Callable<Long> create = () -> store.appendEvents(STREAM,
            List.of(new EventStore.Event("order.created", "{\"total\":50}")), EventStore.NO_STREAM);
        check(create.call() == 0, "the first event has version 0");
        check(refusal(create) instanceof EventStore.Conflict conflict && conflict.actual == 0,
            "a second creation is a conflict, at 0");
        check(refusal(() -> handle(Order::ship)) instanceof IllegalStateException,
            "unpaid is not shipped");
        var pool = Executors.newFixedThreadPool(5);
        Callable<Long> pay = () -> handle(order -> order.pay(10));
        for (var race : pool.invokeAll(Collections.nCopies(5, pay))) race.get();
        pool.shutdown();
        check(load().paid == 50,
            "five racing payments are all there, after " + conflicts + " conflicts");
        check(handle(Order::ship) == 6, "paid is shipped, at version 6");
        var order = load();
        check(order.status.equals("shipped") && order.version == 6,
            "the order is rebuilt from its events");
        var mine = new ArrayList<Long>();
        long from = -1, next = 0;
        while (next != from) {
            from = next;
            var page = store.readAllEvents(from, 1000);
            for (var event : page.events())
                if (STREAM.equals(event.get("stream"))) mine.add(Json.number(event, "version"));
            next = page.next();
        }
        check(mine.equals(List.of(0L, 1L, 2L, 3L, 4L, 5L, 6L)), "all events have them in order");
        System.exit(failed ? 1 : 0);
    }
}

class Order {
    interface Decision {
        List<EventStore.Event> decide(Order order);
    }

    long version = EventStore.NO_STREAM, total, paid;
    String status = "none";

    Order(List<Map<String, Object>> events) {
        for (var event : events) {
            @SuppressWarnings("unchecked") var data = (Map<String, Object>) event.get("data");
            version = Json.number(event, "version");
            switch ((String) event.get("event_type")) {
                case "order.created" -> { status = "open"; total = Json.number(data, "total"); }
                case "order.paid" -> paid += Json.number(data, "amount");
                case "order.shipped" -> status = "shipped";
                default -> { }
            }
        }
    }

    List<EventStore.Event> pay(long amount) {
        if (paid + amount > total) throw new IllegalStateException("paid too much");
        return List.of(new EventStore.Event("order.paid", "{\"amount\":" + amount + "}"));
    }

    List<EventStore.Event> ship() {
        if (!status.equals("open") || paid < total) throw new IllegalStateException("not paid");
        return List.of(new EventStore.Event("order.shipped", "{}"));
    }
}

/** An append returns the new version. Expected: a version (they count from 0), NO_STREAM, null: any.
 * An event's id is made once: without an answer, the same events may be sent again. */
class EventStore {
    static final long NO_STREAM = -1;
    static final String JSON = "{\"event_id\":\"%s\",\"event_type\":\"%s\",\"data\":%s}";
    record Event(String id, String type, String data) {
        Event(String type, String data) { this(UUID.randomUUID().toString(), type, data); }
    }
    record Page(List<Map<String, Object>> events, long next) {}
    static class Conflict extends Exception {
        final long actual;
        Conflict(Map<String, Object> problem) {
            super((String) problem.get("detail"));
            actual = problem.get("actual") == null ? NO_STREAM : Json.number(problem, "actual");
        }
    }

    private final HttpClient client = HttpClient.newBuilder().version(Version.HTTP_1_1).build();
    private final String url;
    EventStore(String url) { this.url = url; }
    private HttpResponse<String> send(HttpRequest.Builder request) throws Exception {
        var answer = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
        int status = answer.statusCode();
        if (status == 412) throw new Conflict(Json.object(answer.body()));
        if (status >= 400 && status != 404) throw new IOException(status + " " + answer.body());
        return answer;
    }
    private HttpRequest.Builder at(String path) {
        return HttpRequest.newBuilder(URI.create(url + path));
    }
    private static String path(String stream) {
        return "/v1/streams/" + URLEncoder.encode(stream, UTF_8).replace("+", "%20");
    }
    private Page page(String path) throws Exception {
        var answer = send(at(path));
        if (answer.statusCode() == 404) return new Page(List.of(), -1);
        long next = answer.headers().firstValueAsLong("Mainstem-Next").orElse(-1);
        return new Page(Json.array(answer.body()), next);
    }

    long appendEvents(String stream, List<Event> events, Long expected) throws Exception {
        var body = new StringJoiner(",", "[", "]");
        for (var event : events) body.add(JSON.formatted(event.id, event.type, event.data));
        var request = at(path(stream)).POST(HttpRequest.BodyPublishers.ofString(body + ""))
            .header("Content-Type", "application/json");
        if (expected != null && expected == NO_STREAM) request.header("If-None-Match", "*");
        else if (expected != null) request.header("If-Match", "\"" + expected + "\"");
        return Json.number(Json.object(send(request).body()), "version");
    }
    List<Map<String, Object>> readEvents(String stream, long from) throws Exception {
        var found = new ArrayList<Map<String, Object>>();
        while (true) {
            var page = page(path(stream) + "?from=" + from);
            if (page.events.isEmpty()) return found;
            found.addAll(page.events);
            from = page.next;
        }
    }
    Page readAllEvents(long from, int max) throws Exception {
        return page("/v1/events?from=" + from + "&limit=" + max);
    }
}

/** Objects are maps, arrays lists, numbers Long or Double. Trusts that the text is JSON. */
class Json {
    private final String text;
    private int at;

    private Json(String text) { this.text = text; }

    @SuppressWarnings("unchecked")
    static Map<String, Object> object(String text) {
        return (Map<String, Object>) new Json(text).value();
    }

    @SuppressWarnings("unchecked")
    static List<Map<String, Object>> array(String text) {
        return (List<Map<String, Object>>) new Json(text).value();
    }

    static long number(Map<String, Object> object, String name) {
        return ((Number) object.get(name)).longValue();
    }

    private char peek() {
        while (" \t\r\n,:".indexOf(text.charAt(at)) >= 0) at++;
        return text.charAt(at);
    }

    private Object value() {
        switch (peek()) {
            case '{': {
                var object = new LinkedHashMap<String, Object>();
                for (at++; peek() != '}'; ) object.put(string(), value());
                at++;
                return object;
            }
            case '[': {
                var array = new ArrayList<Object>();
                for (at++; peek() != ']'; ) array.add(value());
                at++;
                return array;
            }
            case '"': return string();
            default: return word();
        }
    }

    private Object word() {
        int start = at;
        while (at < text.length() && ",]} \t\r\n".indexOf(text.charAt(at)) < 0) at++;
        String word = text.substring(start, at);
        return switch (word) {
            case "null" -> null;
            case "true", "false" -> Boolean.valueOf(word);
            default -> word.matches("-?\\d{1,18}") ? (Object) Long.valueOf(word)
                : (Object) Double.valueOf(word);
        };
    }

    private String string() {
        peek();
        var out = new StringBuilder();
        for (at++; text.charAt(at) != '"'; at++) {
            char c = text.charAt(at);
            if (c == '\\') {
                c = text.charAt(++at);
                int plain = "nrtbf".indexOf(c);
                if (c == 'u') {
                    c = (char) Integer.parseInt(text.substring(at + 1, at + 5), 16);
                    at += 4;
                } else if (plain >= 0) {
                    c = "\n\r\t\b\f".charAt(plain);
                }
            }
            out.append(c);
        }
        at++;
        return out.toString();
    }
}
