#!/bin/sh
# Makes what `docker compose up` needs and is not there yet: .env and the files in secrets/. It overwrites nothing.
set -eu
umask 022 # the files are read by other users inside of the containers; the directory keeps everybody else out

cd "$(dirname "$0")/.."
mkdir -p secrets
chmod 700 secrets

make() { # make NAME COMMAND...: the command's output becomes the secret
  file=secrets/$1
  shift
  [ -s "$file" ] && return
  "$@" >"$file.draft"
  mv "$file.draft" "$file"
  chmod 444 "$file"
  echo "made $file"
}

key() { head -c 32 /dev/urandom | base64; }
letters() { head -c 256 /dev/urandom | base64 | tr -dc A-Za-z0-9 | head -c "$1"; } # letters COUNT
password() { head -c 24 /dev/urandom | base64 | tr '+/' '-_'; }

make secret_key key
make postgres_password password
make redis_password password
make wechat_token password
make wecom_callback_token letters 32
make wecom_aes_key letters 43
make oa_callback_token letters 32
make oa_aes_key letters 43
make grafana_password password

if [ ! -e .env ]; then
  cp deploy/compose.env .env
  chmod 600 .env
  echo "made .env: say in it which parts shall run"
fi
[ -s secrets/telegram_token ] || echo "for Telegram, write the token of @BotFather into secrets/telegram_token"
[ -s secrets/wecom_secret ] || echo "for WeCom, write the Secret of your app into secrets/wecom_secret"
[ -s secrets/oa_secret ] || echo "for an Official Account, write its AppSecret into secrets/oa_secret"
echo "Copy secrets/secret_key to a place apart from this machine: without it no text in the database can be read again."
