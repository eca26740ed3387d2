"""Domains where strangers have their mailboxes: that two addresses share one says nothing about the people.

For `import_cc: company`, which takes those at the author's domain for his colleagues. Which providers are listed and why is
told in docs/decisions.md; a domain that is missing here makes somebody's Cc a participant, one too many leaves him out.
"""

from __future__ import annotations

_IN_MANY_COUNTRIES = frozenset(
    {"aol", "gmail", "gmx", "googlemail", "hotmail", "icloud", "live", "msn", "outlook", "proton", "protonmail"}
    | {"rocketmail", "tutanota", "windowslive", "yahoo", "yandex", "ymail", "zoho", "zohomail", "hushmail"}
)
"""First labels of providers with a domain a country (`hotmail.fr`, `yahoo.co.jp`)."""

_DOMAINS = frozenset(
    # worldwide
    {"me.com", "mac.com", "mail.com", "email.com", "usa.com", "fastmail.com", "fastmail.fm", "pm.me", "tuta.com"}
    | {"tutamail.com", "tuta.io", "keemail.me", "mailbox.org", "posteo.de", "posteo.net", "riseup.net", "duck.com"}
    | {
        "passport.com",
        "hey.com",
        "inbox.com",
        "lycos.com",
        "excite.com",
        "rediffmail.com",
        "mailfence.com",
        "disroot.org",
    }
    # German-speaking countries
    | {"web.de", "t-online.de", "freenet.de", "arcor.de", "online.de", "vodafone.de", "aon.at", "chello.at", "a1.net"}
    | {"bluewin.ch", "hispeed.ch", "sunrise.ch", "kabelbw.de", "o2online.de", "email.de", "mail.de"}
    # France, Benelux, Iberia, Italy
    | {"orange.fr", "wanadoo.fr", "free.fr", "laposte.net", "sfr.fr", "neuf.fr", "bbox.fr", "numericable.fr"}
    | {"telenet.be", "skynet.be", "proximus.be", "scarlet.be", "ziggo.nl", "kpnmail.nl", "xs4all.nl", "planet.nl"}
    | {"home.nl", "hetnet.nl", "telefonica.net", "terra.es", "sapo.pt", "mail.telepac.pt", "libero.it", "virgilio.it"}
    | {"alice.it", "tin.it", "tim.it", "tiscali.it", "fastwebnet.it", "inwind.it", "iol.it", "aruba.it"}
    # the British Isles and the north
    | {"btinternet.com", "sky.com", "virginmedia.com", "talktalk.net", "ntlworld.com", "blueyonder.co.uk", "eircom.net"}
    | {"telia.com", "comhem.se", "bredband.net", "online.no", "mail.dk", "stofanet.dk", "luukku.com", "kolumbus.fi"}
    # the east
    | {"wp.pl", "o2.pl", "onet.pl", "onet.eu", "interia.pl", "interia.eu", "poczta.fm", "gazeta.pl", "tlen.pl", "op.pl"}
    | {
        "vp.pl",
        "poczta.onet.pl",
        "buziaczek.pl",
        "go2.pl",
        "seznam.cz",
        "email.cz",
        "post.cz",
        "centrum.cz",
        "volny.cz",
    }
    | {"azet.sk", "zoznam.sk", "freemail.hu", "citromail.hu", "abv.bg", "mail.bg", "ukr.net", "i.ua", "meta.ua"}
    | {
        "mail.ru",
        "inbox.ru",
        "list.ru",
        "bk.ru",
        "internet.ru",
        "ya.ru",
        "rambler.ru",
        "lenta.ru",
        "inbox.lv",
        "mail.ee",
    }
    # the Americas
    | {"comcast.net", "verizon.net", "att.net", "sbcglobal.net", "bellsouth.net", "cox.net", "charter.net", "juno.com"}
    | {
        "earthlink.net",
        "optonline.net",
        "rogers.com",
        "shaw.ca",
        "sympatico.ca",
        "bell.net",
        "videotron.ca",
        "telus.net",
    }
    | {"uol.com.br", "bol.com.br", "terra.com.br", "ig.com.br", "globo.com", "globomail.com", "r7.com"}
    # Asia and Australia
    | {
        "qq.com",
        "foxmail.com",
        "163.com",
        "126.com",
        "yeah.net",
        "sina.com",
        "sina.cn",
        "sohu.com",
        "139.com",
        "189.cn",
    }
    | {"21cn.com", "aliyun.com", "naver.com", "daum.net", "hanmail.net", "kakao.com", "nate.com", "docomo.ne.jp"}
    | {"ezweb.ne.jp", "au.com", "softbank.ne.jp", "i.softbank.jp", "nifty.com", "biglobe.ne.jp", "ocn.ne.jp"}
    | {"bigpond.com", "bigpond.net.au", "optusnet.com.au", "iinet.net.au", "xtra.co.nz"}
)


def is_freemail(domain: str) -> bool:
    """Whether anybody can have an address there. `domain` in lower-case A-labels."""
    first, _, rest = domain.partition(".")
    # at most two labels behind it (`co.uk`): `yahoo.customer.example.com` is somebody's own
    return domain in _DOMAINS or (first in _IN_MANY_COUNTRIES and 1 <= len(rest.split(".")) <= 2 and rest != "")
