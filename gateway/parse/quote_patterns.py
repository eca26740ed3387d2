"""How mail programs mark what they quote: words, by language. Data only; `quotes` knows what to do with them.

To teach a language: add its words here and a case to the tests.
"""

from __future__ import annotations

WROTE = (
    "wrote",  # en
    "writes",
    "schrieb",  # de
    "geschrieben",
    "a écrit",  # fr
    "escribió",  # es
    "escribio",
    "ha scritto",  # it
    "escreveu",  # pt
    "schreef",  # nl
    "geschreven",
    "napisał",  # pl
    "pisze",
    "написал",  # ru, bg
    "пишет",
    "пише",  # uk
    "написав",
    "skrev",  # sv, da, no
    "kirjoitti",  # fi
    "napsal",  # cs
    "napísal",  # sk
    "írta",  # hu
    "yazdı",  # tr
    "a scris",  # ro
    "va escriure",  # ca
    "έγραψε",  # el
    "je napisal",  # sl, hr
    "je napisao",
    "rašė",  # lt
    "rakstīja",  # lv
    "kirjutas",  # et
    "menulis",  # id
    "đã viết",  # vi
    "כתב",  # he
    "كتب",  # ar
    "写道",  # zh
    "寫道",
    "のメール",  # ja
    "書きました",
    "작성",  # ko
)
"""Verbs of an attribution line: `On … wrote:`. A date or an address must stand in it too."""

OPENINGS = (
    "on ",
    "am ",
    "le ",
    "el ",
    "il ",
    "em ",
    "no dia ",
    "op ",
    "w dniu ",
    "dnia ",
    "dne ",
    "dňa ",
    "den ",
    "på ",
    "în ",
    "pe ",
    "в ",
    "на ",
    "στις ",
    "pada ",
    "vào ",
    "a(z) ",
    "at ",
    "在",
    "于",
    "於",
    "---- on ",
)
"""How an attribution line may begin; otherwise with a digit, or with a name and an address."""

SEPARATORS = (
    "original message",
    "original appointment",
    "forwarded message",
    "forwarded by",
    "ursprüngliche nachricht",
    "originalnachricht",
    "original-nachricht",
    "weitergeleitete nachricht",
    "message d'origine",
    "message d’origine",
    "message original",
    "message transféré",
    "mensaje original",
    "mensaje reenviado",
    "messaggio originale",
    "messaggio inoltrato",
    "mensagem original",
    "mensagem encaminhada",
    "oorspronkelijk bericht",
    "doorgestuurd bericht",
    "oryginalna wiadomość",
    "wiadomość oryginalna",
    "przekazana wiadomość",
    "исходное сообщение",
    "оригинальное сообщение",
    "пересылаемое сообщение",
    "пересланное сообщение",
    "ursprungligt meddelande",
    "vidarebefordrat meddelande",
    "opprinnelig melding",
    "oprindelig meddelelse",
    "alkuperäinen viesti",
    "původní zpráva",
    "pôvodná správa",
    "eredeti üzenet",
    "orijinal mesaj",
    "özgün ileti",
    "mesaj original",
    "原始邮件",
    "原始郵件",
    "转发的邮件",
    "元のメッセージ",
    "원본 메시지",
)
"""Words between dashes: `-----Original Message-----`."""

UNDASHED_SEPARATORS = (
    "begin forwarded message:",
    "anfang der weitergeleiteten nachricht:",
    "début du message réexpédié :",
    "inizio messaggio inoltrato:",
    "inicio del mensaje reenviado:",
    "begin doorgestuurd bericht:",
)
"""Apple Mail's, alone on a line."""

ABOVE_THIS_LINE = ("reply above this line", "type your reply above this line", "write above this line")
"""Markers that service desks put over what they send; what stands below is theirs."""

_FROM = (
    "from von de da van od от från fra lähettäjä expéditeur kimden feladó від από remitente mittente "
    "发件人 寄件者 寄件人 差出人 送信者 보낸사람 จาก từ dari"
)
FROM_WORDS = frozenset(_FROM.split())
"""The first line of a quoted header block, as Outlook writes it."""

_HEADER = (
    "sent date to cc subject reply-to "  # en
    "gesendet datum an betreff "  # de
    "envoyé date à objet "  # fr
    "enviado fecha para asunto "  # es
    "inviato data a oggetto risposta "  # it
    "enviada assunto "  # pt
    "verzonden aan onderwerp "  # nl
    "wysłano wysłane data do temat dw "  # pl
    "отправлено дата кому тема копия "  # ru
    "надіслано дата кому тема "  # uk
    "skickat till ämne kopia "  # sv
    "sendt dato til emne kopi "  # da, no
    "lähetetty päiväys vastaanottaja aihe "  # fi
    "odesláno komu předmět kopie "  # cs
    "küldve címzett tárgy "  # hu
    "gönderildi gönderme kime konu "  # tr
    "trimis către subiect "  # ro
    "发送时间 收件人 主题 抄送 日期 寄件日期 收件者 主旨 副本 "  # zh
    "送信日時 宛先 件名 日時 "  # ja
    "보낸날짜 받는사람 제목 날짜"  # ko
)
HEADER_WORDS = frozenset(_HEADER.split())
"""Its further lines."""
