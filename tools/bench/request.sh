# request.sh create|close NUMBER: start the agent of a room with the blocks in DATA, or stop it.
set -eu
now=$(date +%s) nonce=$1-$2-$$
sum=$(printf %s "$RTCAI_APP_SECRET$nonce$now" | openssl dgst -sha1 -r | cut -c1-40)
if [ "$1" = create ]; then
  body=$(printf '{"taskType":7,"cname":"tofu-%s","requestId":"tofu-%s","data":%s}' "$2" "$2" "$DATA")
else
  body=$(sed -E 's/.*"cid": *([0-9]+).*/{"taskType":7,"cid":\1,/' "task-$2.json")$(sed -E 's/.*("taskId": *"[^"]*").*/\1}/' "task-$2.json")
fi
curl --silent --show-error --fail --noproxy '*' --output "task-$2.json" --data "$body" \
  --header "AppKey: $RTCAI_APP_KEY" --header "Nonce: $nonce" --header "CurTime: $now" --header "CheckSum: $sum" \
  --header 'Content-Type: application/json;charset=UTF-8' "$RTCAI_ENDPOINT/v1/api/task/$1"
