# The commands of the documents that describe IAM Roles for Service Accounts, as written, placeholders filled in. What a cloud
# does by itself (the cluster exists, the bucket has an object) comes first.
set -euo pipefail

aws eks create-cluster --name my-cluster --role-arn arn:aws:iam::111122223333:role/my-cluster-role --resources-vpc-config '{}' > /dev/null
aws s3 mb s3://my-bucket > /dev/null
echo "from the bucket" > config.txt
aws s3 cp config.txt s3://my-bucket/config.txt > /dev/null

echo "== issuer"
aws eks describe-cluster \
  --name my-cluster \
  --query "cluster.identity.oidc.issuer" \
  --output text

echo "== account"
ACCOUNT_ID=$(aws sts get-caller-identity --query "Account" --output text)
echo "$ACCOUNT_ID"
OIDC_PROVIDER=$(aws eks describe-cluster --name my-cluster --query "cluster.identity.oidc.issuer" --output text | sed -e "s/^https:\/\///")

echo "== provider"
aws iam create-open-id-connect-provider --url "https://$OIDC_PROVIDER" --client-id-list sts.amazonaws.com \
  --query OpenIDConnectProviderArn --output text

echo "== policy"
cat > policy.json <<'EOF'
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["s3:GetObject", "s3:ListBucket"],
      "Resource": ["arn:aws:s3:::my-bucket", "arn:aws:s3:::my-bucket/*"]
    }
  ]
}
EOF
aws iam create-policy --policy-name my-iam-policy --policy-document file://policy.json --query Policy.Arn --output text

echo "== role"
read -r -d '' TRUST_RELATIONSHIP <<EOF || true
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {
        "Federated": "arn:aws:iam::${ACCOUNT_ID}:oidc-provider/${OIDC_PROVIDER}"
      },
      "Action": "sts:AssumeRoleWithWebIdentity",
      "Condition": {
        "StringEquals": {
          "${OIDC_PROVIDER}:aud": "sts.amazonaws.com",
          "${OIDC_PROVIDER}:sub": "system:serviceaccount:app:s3-reader"
        }
      }
    }
  ]
}
EOF
echo "${TRUST_RELATIONSHIP}" > trust.json
aws iam create-role --role-name my-iam-role --assume-role-policy-document file://trust.json --description "my-role-description" \
  --query Role.Arn --output text
aws iam attach-role-policy --role-name my-iam-role --policy-arn=arn:aws:iam::$ACCOUNT_ID:policy/my-iam-policy

cat > pod.yaml <<EOF
apiVersion: v1
kind: ServiceAccount
metadata:
  name: s3-reader
  namespace: app
  annotations:
    eks.amazonaws.com/role-arn: arn:aws:iam::$ACCOUNT_ID:role/my-iam-role
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: reader
  namespace: app
spec:
  replicas: 1
  selector:
    matchLabels:
      app: reader
  template:
    metadata:
      labels:
        app: reader
    spec:
      serviceAccountName: s3-reader
      containers:
      - name: app
        image: amazonlinux
        command:
          - sh
          - -c
          - aws s3 ls s3://my-bucket
EOF

echo "== pod environment"
irsa exec --serviceaccount app/s3-reader -f pod.yaml -- aws s3 ls s3://my-bucket

echo "== whoami"
irsa exec --serviceaccount app/s3-reader -f pod.yaml -- aws sts get-caller-identity --query Arn --output text

echo "== deployment"
irsa run -f pod.yaml
