import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import software.amazon.awssdk.core.ResponseBytes;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.core.util.VersionInfo;
import software.amazon.awssdk.protocols.jsoncore.JsonNode;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.BucketVersioningStatus;
import software.amazon.awssdk.services.s3.model.ChecksumMode;
import software.amazon.awssdk.services.s3.model.CommonPrefix;
import software.amazon.awssdk.services.s3.model.DeleteMarkerEntry;
import software.amazon.awssdk.services.s3.model.DeletedObject;
import software.amazon.awssdk.services.s3.model.GetObjectRequest;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;
import software.amazon.awssdk.services.s3.model.HeadObjectResponse;
import software.amazon.awssdk.services.s3.model.NoSuchBucketException;
import software.amazon.awssdk.services.s3.model.NoSuchKeyException;
import software.amazon.awssdk.services.s3.model.ObjectIdentifier;
import software.amazon.awssdk.services.s3.model.ObjectVersion;
import software.amazon.awssdk.services.s3.model.PutObjectRequest;
import software.amazon.awssdk.services.s3.model.PutObjectResponse;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.services.s3.model.S3Object;
import software.amazon.awssdk.services.s3.model.Tag;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;
import software.amazon.awssdk.services.sts.StsClient;
import software.amazon.awssdk.services.sts.model.GetCallerIdentityResponse;
import software.amazon.awssdk.transfer.s3.S3TransferManager;

/** The steps of the matrix with the AWS SDK for Java, version 2. */
public final class Matrix {
    private static final String BUCKET = System.getenv("MATRIX_BUCKET");

    private final List<String> keys = new ArrayList<>();
    private final S3Client s3 = S3Client.create();
    private final StsClient sts = StsClient.create();

    private Matrix() throws Exception {
        String list = Files.readString(Path.of(System.getenv("MATRIX_KEYS")));
        JsonNode.parser().parse(list).asArray().forEach(key -> keys.add(key.asString()));
    }

    private static void equal(Object got, Object wanted) {
        if (!Objects.equals(got, wanted)) {
            throw new AssertionError(got + " is not " + wanted);
        }
    }

    private static void same(byte[] got, byte[] wanted, String what) {
        if (!Arrays.equals(got, wanted)) {
            throw new AssertionError(what + ": the content is another");
        }
    }

    private static byte[] random(int length) {
        byte[] content = new byte[length];
        new Random().nextBytes(content);
        return content;
    }

    private static byte[] joined(byte[] one, byte[] other) {
        byte[] both = Arrays.copyOf(one, one.length + other.length);
        System.arraycopy(other, 0, both, one.length, other.length);
        return both;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private PutObjectResponse put(String key, byte[] content, Consumer<PutObjectRequest.Builder> more) {
        PutObjectRequest.Builder request = PutObjectRequest.builder().bucket(BUCKET).key(key);
        more.accept(request);
        return s3.putObject(request.build(), RequestBody.fromBytes(content));
    }

    private void put(String key) {
        put(key, new byte[0], request -> {});
    }

    private ResponseBytes<GetObjectResponse> get(String key, Consumer<GetObjectRequest.Builder> more) {
        GetObjectRequest.Builder request = GetObjectRequest.builder().bucket(BUCKET).key(key);
        more.accept(request);
        return s3.getObjectAsBytes(request.build());
    }

    private ResponseBytes<GetObjectResponse> get(String key) {
        return get(key, request -> {});
    }

    /** The error that a call is refused with. */
    private static S3Exception refused(int status, Runnable call) {
        try {
            call.run();
        } catch (S3Exception error) {
            equal(error.statusCode(), status);
            return error;
        }
        throw new AssertionError("nothing was refused");
    }

    private static void refused(int status, String code, Runnable call) {
        equal(refused(status, call).awsErrorDetails().errorCode(), code);
    }

    private Map<String, String> identity() {
        GetCallerIdentityResponse answer = sts.getCallerIdentity();
        return Map.of(
                "account", answer.account(),
                "arn", answer.arn(),
                "userId", answer.userId(),
                "version", VersionInfo.SDK_VERSION);
    }

    private Map<String, String> refresh() {
        for (int call = 0; call < 3; call += 1) {
            sts.getCallerIdentity();
        }
        return Map.of();
    }

    private Map<String, String> objects() throws Exception {
        byte[] every = new byte[256];
        for (int value = 0; value < every.length; value += 1) {
            every[value] = (byte) value;
        }
        Map<String, String> metadata = Map.of("team", "blue");
        for (String key : keys) {
            byte[] content = joined(bytes(key), every);
            put(key, content, request -> request.metadata(metadata).contentType("text/x-matrix"));
            ResponseBytes<GetObjectResponse> got = get(key);
            same(got.asByteArray(), content, key);
            equal(got.response().metadata(), metadata);
            equal(got.response().contentType(), "text/x-matrix");
        }
        byte[] content = random(1 << 20);
        Path file = Files.write(Path.of("content"), content);
        s3.putObject(request -> request.bucket(BUCKET).key("streamed"), RequestBody.fromFile(file));
        same(get("streamed").asByteArray(), content, "streamed");
        put("empty");
        same(get("empty").asByteArray(), new byte[0], "empty");
        HeadObjectResponse head =
                s3.headObject(request -> request.bucket(BUCKET).key("streamed").checksumMode(ChecksumMode.ENABLED));
        List<String> checksums = new ArrayList<>();
        head.sdkFields().forEach(field -> {
            String name = field.memberName();
            boolean is = name.startsWith("Checksum") && !name.equals("ChecksumType");
            if (is && field.getValueOrDefault(head) != null) {
                checksums.add(name.substring("Checksum".length()));
            }
        });
        equal(checksums.size(), 1);
        byte[] part = get("streamed", request -> request.range("bytes=1000-1999")).asByteArray();
        same(part, Arrays.copyOfRange(content, 1000, 2000), "a range");
        s3.deleteObject(request -> request.bucket(BUCKET).key("streamed"));
        equal(refused(404, () -> get("streamed")) instanceof NoSuchKeyException, true);
        return Map.of("checksum", checksums.get(0));
    }

    private Map<String, String> multipart() throws Exception {
        byte[] content = joined(random(17 << 20), bytes("the end"));
        Path up = Files.write(Path.of("up"), content);
        Path down = Path.of("down");
        try (S3AsyncClient client = S3AsyncClient.builder()
                        .multipartEnabled(true)
                        .multipartConfiguration(parts -> parts.minimumPartSizeInBytes(6L << 20)
                                .thresholdInBytes(6L << 20))
                        .build();
                S3TransferManager manager =
                        S3TransferManager.builder().s3Client(client).build()) {
            String tag = manager.uploadFile(upload -> upload.source(up)
                            .putObjectRequest(request -> request.bucket(BUCKET).key("in parts")))
                    .completionFuture()
                    .join()
                    .response()
                    .eTag();
            equal(tag.endsWith("-3\""), true);
            manager.downloadFile(download -> download.destination(down)
                            .getObjectRequest(request -> request.bucket(BUCKET).key("in parts")))
                    .completionFuture()
                    .join();
            same(Files.readAllBytes(down), content, "in parts");
            // The asynchronous client sends its checksum behind the body.
            client.putObject(request -> request.bucket(BUCKET).key("one part"), AsyncRequestBody.fromBytes(bytes("one")))
                    .join();
            same(get("one part").asByteArray(), bytes("one"), "one part");
        }
        s3.copyObject(request -> request.sourceBucket(BUCKET)
                .sourceKey("in parts")
                .destinationBucket(BUCKET)
                .destinationKey("copied"));
        same(get("copied").asByteArray(), content, "copied");
        return Map.of();
    }

    private Map<String, String> presignedGet() {
        String key = System.getenv("MATRIX_PRESIGNED_GET");
        put(key, bytes(System.getenv("MATRIX_PRESIGNED_CONTENT")), request -> {});
        try (S3Presigner presigner = S3Presigner.builder().s3Client(s3).build()) {
            return Map.of(
                    "url",
                    presigner
                            .presignGetObject(link -> link.signatureDuration(Duration.ofHours(1))
                                    .getObjectRequest(request -> request.bucket(BUCKET).key(key)))
                            .url()
                            .toString());
        }
    }

    private Map<String, String> presignedPut() {
        String key = System.getenv("MATRIX_PRESIGNED_PUT");
        try (S3Presigner presigner = S3Presigner.builder().s3Client(s3).build()) {
            return Map.of(
                    "url",
                    presigner
                            .presignPutObject(link -> link.signatureDuration(Duration.ofHours(1))
                                    .putObjectRequest(request -> request.bucket(BUCKET).key(key)))
                            .url()
                            .toString());
        }
    }

    private Map<String, String> denial() {
        String forbidden = System.getenv("MATRIX_FORBIDDEN");
        S3Exception error = refused(
                403,
                () -> s3.putObject(
                        request -> request.bucket(forbidden).key("key"), RequestBody.fromString("content")));
        equal(error.awsErrorDetails().errorCode(), "AccessDenied");
        return Map.of("requestId", error.requestId(), "message", error.awsErrorDetails().errorMessage());
    }

    private Map<String, String> buckets() {
        String bucket = BUCKET + "-made";
        s3.createBucket(request -> request.bucket(bucket));
        s3.waiter().waitUntilBucketExists(request -> request.bucket(bucket));
        equal(s3.listBuckets().buckets().stream().anyMatch(found -> found.name().equals(bucket)), true);
        s3.putObject(request -> request.bucket(bucket).key("key"), RequestBody.empty());
        refused(409, "BucketNotEmpty", () -> s3.deleteBucket(request -> request.bucket(bucket)));
        s3.deleteObject(request -> request.bucket(bucket).key("key"));
        s3.deleteBucket(request -> request.bucket(bucket));
        S3Exception missing = refused(404, () -> s3.listObjectsV2(request -> request.bucket(bucket)));
        equal(missing instanceof NoSuchBucketException, true);
        return Map.of();
    }

    private Map<String, String> conditional() {
        String key = "conditional";
        String first = put(key, bytes("first"), request -> request.ifNoneMatch("*")).eTag();
        refused(412, "PreconditionFailed", () -> put(key, bytes("second"), request -> request.ifNoneMatch("*")));
        String second = put(key, bytes("second"), request -> request.ifMatch(first)).eTag();
        refused(412, "PreconditionFailed", () -> put(key, bytes("third"), request -> request.ifMatch(first)));
        refused(304, () -> get(key, request -> request.ifNoneMatch(second)));
        refused(412, "PreconditionFailed", () -> get(key, request -> request.ifMatch(first)));
        equal(get(key, request -> request.ifMatch(second)).asUtf8String(), "second");
        return Map.of();
    }

    private List<String> listed(String prefix) {
        return s3.listObjectsV2Paginator(request -> request.bucket(BUCKET).prefix(prefix).maxKeys(7)).contents().stream()
                .map(S3Object::key)
                .toList();
    }

    private Map<String, String> listing() {
        TreeSet<String> names = new TreeSet<>();
        keys.forEach(key -> names.add("list/" + key));
        for (int number = 0; number < 20; number += 1) {
            names.add("list/%02d".formatted(number));
        }
        TreeSet<String> folders = new TreeSet<>();
        for (String name : names) {
            put(name);
            String[] parts = name.split("/", 3);
            if (parts.length == 3) {
                folders.add(parts[0] + "/" + parts[1] + "/");
            }
        }
        equal(listed("list/"), List.copyOf(names));
        List<String> got =
                s3.listObjectsV2(request -> request.bucket(BUCKET).prefix("list/").delimiter("/")).commonPrefixes().stream()
                        .map(CommonPrefix::prefix)
                        .toList();
        equal(got, List.copyOf(folders));
        return Map.of();
    }

    private Map<String, String> deleteSeveral() {
        TreeSet<String> names = new TreeSet<>();
        keys.forEach(key -> names.add("several/" + key));
        names.forEach(this::put);
        List<ObjectIdentifier> several = names.stream()
                .map(name -> ObjectIdentifier.builder().key(name).build())
                .toList();
        var answer = s3.deleteObjects(request -> request.bucket(BUCKET).delete(what -> what.objects(several)));
        equal(new TreeSet<>(answer.deleted().stream().map(DeletedObject::key).toList()), names);
        equal(answer.errors(), List.of());
        equal(listed("several/"), List.of());
        return Map.of();
    }

    private List<Tag> tags(String key) {
        return s3.getObjectTagging(request -> request.bucket(BUCKET).key(key)).tagSet();
    }

    private static Tag tag(String key, String value) {
        return Tag.builder().key(key).value(value).build();
    }

    private Map<String, String> tagging() {
        String key = "tagged";
        put(key, new byte[0], request -> request.tagging("team=blue&what=a%20b"));
        equal(tags(key), List.of(tag("team", "blue"), tag("what", "a b")));
        Tag wanted = tag("größe", "1+1 = 2");
        s3.putObjectTagging(request -> request.bucket(BUCKET).key(key).tagging(set -> set.tagSet(wanted)));
        equal(tags(key), List.of(wanted));
        equal(get(key).response().tagCount(), 1);
        s3.deleteObjectTagging(request -> request.bucket(BUCKET).key(key));
        equal(tags(key), List.of());
        return Map.of();
    }

    private Map<String, String> versions() {
        String bucket = BUCKET + "-versions";
        String key = "a key";
        s3.createBucket(request -> request.bucket(bucket));
        s3.putBucketVersioning(request -> request.bucket(bucket)
                .versioningConfiguration(settings -> settings.status(BucketVersioningStatus.ENABLED)));
        equal(s3.getBucketVersioning(request -> request.bucket(bucket)).status(), BucketVersioningStatus.ENABLED);
        List<String> made = new ArrayList<>();
        for (String content : List.of("second", "first")) {
            made.add(0, s3.putObject(request -> request.bucket(bucket).key(key), RequestBody.fromString(content))
                    .versionId());
        }
        var marker = s3.deleteObject(request -> request.bucket(bucket).key(key));
        equal(marker.deleteMarker(), true);
        equal(refused(404, () -> get(key, request -> request.bucket(bucket))) instanceof NoSuchKeyException, true);
        String old = get(key, request -> request.bucket(bucket).versionId(made.get(1))).asUtf8String();
        equal(old, "second");
        var page = s3.listObjectVersions(request -> request.bucket(bucket));
        equal(page.versions().stream().map(ObjectVersion::versionId).toList(), made);
        List<String> markers =
                page.deleteMarkers().stream().map(DeleteMarkerEntry::versionId).toList();
        equal(markers, List.of(marker.versionId()));
        s3.deleteObject(request -> request.bucket(bucket).key(key).versionId(marker.versionId()));
        equal(get(key, request -> request.bucket(bucket)).asUtf8String(), "first");
        return Map.of();
    }

    private Map<String, Callable<Map<String, String>>> steps() {
        Map<String, Callable<Map<String, String>>> steps = new LinkedHashMap<>();
        steps.put("identity", this::identity);
        steps.put("refresh", this::refresh);
        steps.put("objects", this::objects);
        steps.put("multipart", this::multipart);
        steps.put("presigned-get", this::presignedGet);
        steps.put("presigned-put", this::presignedPut);
        steps.put("denial", this::denial);
        steps.put("buckets", this::buckets);
        steps.put("conditional", this::conditional);
        steps.put("listing", this::listing);
        steps.put("delete-several", this::deleteSeveral);
        steps.put("tagging", this::tagging);
        steps.put("versions", this::versions);
        return steps;
    }

    private static String quoted(String text) {
        StringBuilder json = new StringBuilder("\"");
        text.codePoints().forEach(point -> {
            if (point == '"' || point == '\\' || point < ' ') {
                json.append("\\u%04x".formatted(point));
            } else {
                json.appendCodePoint(point);
            }
        });
        return json.append('"').toString();
    }

    public static void main(String[] words) throws Exception {
        PrintStream output = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        Matrix matrix = new Matrix();
        for (String step : words) {
            Map<String, String> line = new LinkedHashMap<>();
            line.put("step", step);
            try {
                Map<String, String> found = matrix.steps().get(step).call();
                line.put("result", "pass");
                line.putAll(found);
            } catch (Exception | AssertionError error) {
                line.put("result", "fail");
                line.put("reason", error.toString());
            }
            List<String> members = new ArrayList<>();
            line.forEach((name, value) -> members.add(quoted(name) + ": " + quoted(value)));
            output.println("{" + String.join(", ", members) + "}");
        }
    }
}
