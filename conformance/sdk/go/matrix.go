// The steps of the matrix with the AWS SDK for Go, version 2.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

var (
	ctx    = context.Background()
	bucket = aws.String(os.Getenv("MATRIX_BUCKET"))
	keys   []string
	cloud  *s3.Client
	tokens *sts.Client
)

// What a step found out, for the reader of the line.
type found = map[string]any

// Ends the step: it is caught where steps are run.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func equal(got, want any) {
	if !reflect.DeepEqual(got, want) {
		panic(fmt.Errorf("%.300v is not %.300v", got, want))
	}
}

func put(key, body string, more ...func(*s3.PutObjectInput)) *s3.PutObjectOutput {
	input := &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: strings.NewReader(body)}
	for _, change := range more {
		change(input)
	}
	return must(cloud.PutObject(ctx, input))
}

func get(key string, more ...func(*s3.GetObjectInput)) ([]byte, *s3.GetObjectOutput) {
	input := &s3.GetObjectInput{Bucket: bucket, Key: &key}
	for _, change := range more {
		change(input)
	}
	output := must(cloud.GetObject(ctx, input))
	defer output.Body.Close()
	return must(io.ReadAll(output.Body)), output
}

// The code of the error that a call was refused with.
func refused(status int, err error) string {
	var response *awshttp.ResponseError
	if !errors.As(err, &response) {
		panic(fmt.Errorf("not refused: %v", err))
	}
	equal(response.HTTPStatusCode(), status)
	var known smithy.APIError
	if errors.As(err, &known) {
		return known.ErrorCode()
	}
	return ""
}

func identity() found {
	answer := must(tokens.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}))
	return found{"account": answer.Account, "arn": answer.Arn, "userId": answer.UserId, "version": aws.SDKVersion}
}

func refresh() found {
	for range 3 {
		must(tokens.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}))
	}
	return nil
}

func objects() found {
	every := make([]byte, 256)
	for value := range every {
		every[value] = byte(value)
	}
	for _, key := range keys {
		content := key + string(every)
		put(key, content, func(input *s3.PutObjectInput) {
			input.Metadata = map[string]string{"team": "blue"}
			input.ContentType = aws.String("text/x-matrix")
		})
		got, output := get(key)
		equal(string(got), content)
		equal(output.Metadata, map[string]string{"team": "blue"})
		equal(*output.ContentType, "text/x-matrix")
	}
	content := random(1 << 20)
	must(0, os.WriteFile("content", content, 0o600))
	file := must(os.Open("content"))
	defer file.Close()
	must(cloud.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("streamed"), Body: file}))
	got, _ := get("streamed")
	equal(bytes.Equal(got, content), true)
	put("empty", "")
	got, _ = get("empty")
	equal(len(got), 0)
	head := must(cloud.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("streamed"), ChecksumMode: types.ChecksumModeEnabled}))
	var checksum []string
	value := reflect.ValueOf(*head)
	for _, field := range reflect.VisibleFields(value.Type()) {
		name, is := strings.CutPrefix(field.Name, "Checksum")
		if is && name != "Type" && !value.FieldByIndex(field.Index).IsZero() {
			checksum = append(checksum, name)
		}
	}
	equal(len(checksum), 1)
	got, _ = get("streamed", func(input *s3.GetObjectInput) { input.Range = aws.String("bytes=1000-1999") })
	equal(bytes.Equal(got, content[1000:2000]), true)
	must(cloud.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("streamed")}))
	_, err := cloud.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("streamed")})
	var missing *types.NoSuchKey
	equal(errors.As(err, &missing), true)
	return found{"checksum": checksum[0]}
}

func random(length int) []byte {
	content := make([]byte, length)
	must(rand.Read(content))
	return content
}

func multipart() found {
	content := append(random(17<<20), "the end"...)
	manager := transfermanager.New(cloud, func(options *transfermanager.Options) { options.PartSizeBytes = 6 << 20 })
	// A plain reader: its length is not known before its end.
	body := io.MultiReader(bytes.NewReader(content))
	up := must(manager.UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: bucket, Key: aws.String("in parts"), Body: body}))
	equal(strings.HasSuffix(*up.ETag, `-3"`), true)
	down := must(os.Create("down"))
	defer down.Close()
	must(manager.DownloadObject(ctx, &transfermanager.DownloadObjectInput{Bucket: bucket, Key: aws.String("in parts"), WriterAt: down}))
	equal(bytes.Equal(must(os.ReadFile("down")), content), true)
	source := aws.String(*bucket + "/in%20parts")
	must(cloud.CopyObject(ctx, &s3.CopyObjectInput{Bucket: bucket, Key: aws.String("copied"), CopySource: source}))
	got, _ := get("copied")
	equal(bytes.Equal(got, content), true)
	return nil
}

func expires(options *s3.PresignOptions) { options.Expires = time.Hour }

func presignedGet() found {
	key := os.Getenv("MATRIX_PRESIGNED_GET")
	put(key, os.Getenv("MATRIX_PRESIGNED_CONTENT"))
	signer := s3.NewPresignClient(cloud, expires)
	return found{"url": must(signer.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key})).URL}
}

func presignedPut() found {
	key := os.Getenv("MATRIX_PRESIGNED_PUT")
	signer := s3.NewPresignClient(cloud, expires)
	return found{"url": must(signer.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: &key})).URL}
}

func denial() found {
	forbidden := aws.String(os.Getenv("MATRIX_FORBIDDEN"))
	_, err := cloud.PutObject(ctx, &s3.PutObjectInput{Bucket: forbidden, Key: aws.String("key"), Body: strings.NewReader("content")})
	equal(refused(403, err), "AccessDenied")
	var known smithy.APIError
	var response *awshttp.ResponseError
	equal(errors.As(err, &known) && errors.As(err, &response), true)
	return found{"requestId": response.ServiceRequestID(), "message": known.ErrorMessage()}
}

func buckets() found {
	made := aws.String(*bucket + "-made")
	must(cloud.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: made}))
	must(0, s3.NewBucketExistsWaiter(cloud).Wait(ctx, &s3.HeadBucketInput{Bucket: made}, 30*time.Second))
	all := must(cloud.ListBuckets(ctx, &s3.ListBucketsInput{})).Buckets
	equal(slices.ContainsFunc(all, func(one types.Bucket) bool { return *one.Name == *made }), true)
	must(cloud.PutObject(ctx, &s3.PutObjectInput{Bucket: made, Key: aws.String("key"), Body: strings.NewReader("")}))
	_, err := cloud.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: made})
	equal(refused(409, err), "BucketNotEmpty")
	must(cloud.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: made, Key: aws.String("key")}))
	must(cloud.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: made}))
	_, err = cloud.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: made})
	refused(404, err)
	return nil
}

func conditional() found {
	key := aws.String("conditional")
	try := func(body string, change func(*s3.PutObjectInput)) (*s3.PutObjectOutput, error) {
		input := &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader(body)}
		change(input)
		return cloud.PutObject(ctx, input)
	}
	isNew := func(input *s3.PutObjectInput) { input.IfNoneMatch = aws.String("*") }
	first := must(try("first", isNew)).ETag
	isFirst := func(input *s3.PutObjectInput) { input.IfMatch = first }
	_, err := try("second", isNew)
	equal(refused(412, err), "PreconditionFailed")
	second := must(try("second", isFirst)).ETag
	_, err = try("third", isFirst)
	equal(refused(412, err), "PreconditionFailed")
	_, err = cloud.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key, IfNoneMatch: second})
	refused(304, err)
	_, err = cloud.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key, IfMatch: first})
	equal(refused(412, err), "PreconditionFailed")
	got, _ := get(*key, func(input *s3.GetObjectInput) { input.IfMatch = second })
	equal(string(got), "second")
	return nil
}

func listed(prefix string) []string {
	names := []string{}
	pages := s3.NewListObjectsV2Paginator(cloud, &s3.ListObjectsV2Input{Bucket: bucket, Prefix: &prefix, MaxKeys: aws.Int32(7)})
	for pages.HasMorePages() {
		for _, item := range must(pages.NextPage(ctx)).Contents {
			names = append(names, *item.Key)
		}
	}
	return names
}

func listing() found {
	var names, folders []string
	for _, key := range keys {
		names = append(names, "list/"+key)
	}
	for number := range 20 {
		names = append(names, fmt.Sprintf("list/%02d", number))
	}
	slices.Sort(names)
	for _, name := range names {
		put(name, "")
		if parts := strings.SplitN(name, "/", 3); len(parts) == 3 {
			folders = append(folders, parts[0]+"/"+parts[1]+"/")
		}
	}
	equal(listed("list/"), names)
	page := must(cloud.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket, Prefix: aws.String("list/"), Delimiter: aws.String("/")}))
	var got []string
	for _, folder := range page.CommonPrefixes {
		got = append(got, *folder.Prefix)
	}
	equal(got, slices.Compact(folders))
	return nil
}

func deleteSeveral() found {
	var names, deleted []string
	var several []types.ObjectIdentifier
	for _, key := range keys {
		name := "several/" + key
		put(name, "")
		names = append(names, name)
		several = append(several, types.ObjectIdentifier{Key: &name})
	}
	answer := must(cloud.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: several}}))
	for _, item := range answer.Deleted {
		deleted = append(deleted, *item.Key)
	}
	slices.Sort(names)
	slices.Sort(deleted)
	equal(deleted, names)
	equal(len(answer.Errors), 0)
	equal(listed("several/"), []string{})
	return nil
}

func tagging() found {
	key := aws.String("tagged")
	tags := func() map[string]string {
		set := map[string]string{}
		for _, tag := range must(cloud.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: bucket, Key: key})).TagSet {
			set[*tag.Key] = *tag.Value
		}
		return set
	}
	put(*key, "", func(input *s3.PutObjectInput) { input.Tagging = aws.String("team=blue&what=a%20b") })
	equal(tags(), map[string]string{"team": "blue", "what": "a b"})
	set := []types.Tag{{Key: aws.String("größe"), Value: aws.String("1+1 = 2")}}
	must(cloud.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: bucket, Key: key, Tagging: &types.Tagging{TagSet: set}}))
	equal(tags(), map[string]string{"größe": "1+1 = 2"})
	_, output := get(*key)
	equal(*output.TagCount, int32(1))
	must(cloud.DeleteObjectTagging(ctx, &s3.DeleteObjectTaggingInput{Bucket: bucket, Key: key}))
	equal(tags(), map[string]string{})
	return nil
}

func versions() found {
	versioned, key := aws.String(*bucket+"-versions"), aws.String("a key")
	must(cloud.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: versioned}))
	must(cloud.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket:                  versioned,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	}))
	equal(must(cloud.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: versioned})).Status, types.BucketVersioningStatusEnabled)
	var made []string
	for _, content := range []string{"first", "second"} {
		output := must(cloud.PutObject(ctx, &s3.PutObjectInput{Bucket: versioned, Key: key, Body: strings.NewReader(content)}))
		made = append(made, *output.VersionId)
	}
	marker := must(cloud.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: versioned, Key: key}))
	equal(*marker.DeleteMarker, true)
	_, err := cloud.GetObject(ctx, &s3.GetObjectInput{Bucket: versioned, Key: key})
	equal(refused(404, err), "NoSuchKey")
	in := func(version *string) func(*s3.GetObjectInput) {
		return func(input *s3.GetObjectInput) { input.Bucket, input.VersionId = versioned, version }
	}
	got, _ := get(*key, in(&made[0]))
	equal(string(got), "first")
	page := must(cloud.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: versioned}))
	equal(len(page.Versions), 2)
	equal([]string{*page.Versions[1].VersionId, *page.Versions[0].VersionId}, made)
	equal(len(page.DeleteMarkers), 1)
	equal(*page.DeleteMarkers[0].VersionId, *marker.VersionId)
	must(cloud.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: versioned, Key: key, VersionId: marker.VersionId}))
	got, _ = get(*key, in(nil))
	equal(string(got), "second")
	return nil
}

var steps = map[string]func() found{
	"identity":       identity,
	"refresh":        refresh,
	"objects":        objects,
	"multipart":      multipart,
	"presigned-get":  presignedGet,
	"presigned-put":  presignedPut,
	"denial":         denial,
	"buckets":        buckets,
	"conditional":    conditional,
	"listing":        listing,
	"delete-several": deleteSeveral,
	"tagging":        tagging,
	"versions":       versions,
}

func run(step string) (line found) {
	defer func() {
		if failure := recover(); failure != nil {
			line = found{"step": step, "result": "fail", "reason": fmt.Sprint(failure)}
		}
	}()
	line = found{"step": step, "result": "pass"}
	for name, value := range steps[step]() {
		line[name] = value
	}
	return line
}

func main() {
	must(0, json.Unmarshal(must(os.ReadFile(os.Getenv("MATRIX_KEYS"))), &keys))
	settings := must(config.LoadDefaultConfig(ctx))
	cloud, tokens = s3.NewFromConfig(settings), sts.NewFromConfig(settings)
	output := json.NewEncoder(os.Stdout)
	output.SetEscapeHTML(false)
	for _, step := range os.Args[1:] {
		must(0, output.Encode(run(step)))
	}
}
