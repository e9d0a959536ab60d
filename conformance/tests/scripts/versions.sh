#!/usr/bin/env bash
# Versions of objects with the AWS CLI. What it prints after `== name` is what the test reads.
set -euo pipefail

s3api() { aws s3api "$@" --bucket versioned; }
refused() {
    if output=$("$@" 2>&1); then
        echo "this should have been refused: $*" >&2
        exit 1
    fi
    printf '%s\n' "$output" | grep -o 'An error occurred.*'
}

aws s3 mb s3://versioned >/dev/null
echo before > a
s3api put-object --key a --body a --query VersionId --output text > unversioned
s3api put-bucket-versioning --versioning-configuration Status=Enabled
echo == status
s3api get-bucket-versioning --query Status --output text
echo == unversioned
cat unversioned

echo second > a
second=$(s3api put-object --key a --body a --query VersionId --output text)
echo third > a
third=$(s3api put-object --key a --body a --query VersionId --output text)
marker=$(s3api delete-object --key a --query VersionId --output text)
echo == ids
echo "$second $third $marker"

echo == hidden
refused s3api get-object --key a out
refused s3api head-object --key a
refused s3api get-object --key a --version-id "$marker" out
refused s3api head-object --key a --version-id "$marker"
refused s3api get-object --key a --version-id nothing out
refused s3api delete-object --key a --version-id nothing
refused aws s3 rb s3://versioned

echo == contents
for version in null "$second" "$third"; do
    told=$(s3api get-object --key a --version-id "$version" out --query VersionId --output text)
    echo "$told $(cat out)"
done

echo == versions
s3api list-object-versions --query 'Versions[].[Key,VersionId,IsLatest]' --output text
echo == markers
s3api list-object-versions --query 'DeleteMarkers[].[Key,VersionId,IsLatest]' --output text
echo == paged
s3api list-object-versions --page-size 1 --query 'Versions[].VersionId' --output text | tr '\t\n' '  '
echo
echo == one page
s3api list-object-versions --no-paginate --max-keys 2 --query '[IsTruncated,NextKeyMarker,NextVersionIdMarker]' --output text

echo == restored
s3api copy-object --key a --copy-source "versioned/a?versionId=$second" \
    --query 'CopySourceVersionId' --output text
aws s3 cp s3://versioned/a - 2>/dev/null

echo == tags
s3api put-object-tagging --key a --version-id "$third" --tagging 'TagSet=[{Key=which,Value=third}]' --query VersionId --output text
s3api get-object-tagging --key a --version-id "$third" --query 'TagSet[0].Value' --output text
s3api get-object-tagging --key a --query 'length(TagSet)' --output text
s3api get-object-attributes --key a --version-id "$third" --object-attributes ObjectSize --query '[VersionId,ObjectSize]' --output text

echo == suspended
s3api put-bucket-versioning --versioning-configuration Status=Suspended
s3api put-object --key a --body a --query VersionId --output text
s3api delete-object --key a --query '[DeleteMarker,VersionId]' --output text

echo == removed
s3api delete-objects --delete "Objects=[{Key=a,VersionId=$third},{Key=a,VersionId=$marker},{Key=a,VersionId=nothing}]" \
    --query '[Deleted[0].VersionId,Deleted[1].DeleteMarker,Deleted[1].DeleteMarkerVersionId,Errors[0].Code]' --output text
