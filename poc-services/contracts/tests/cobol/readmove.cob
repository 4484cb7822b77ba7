      * READS A FILE OF INVENTORY MOVEMENTS AND SHOWS EVERY FIELD, ONE
      * LINE A RECORD. THE MACHINE IS ASCII, SO THE TEXT AND ZONED
      * FIELDS ARE CONVERTED FIRST; PACKED AND BINARY ONES ARE NOT.
       IDENTIFICATION DIVISION.
       PROGRAM-ID. READMOVE.
       ENVIRONMENT DIVISION.
       INPUT-OUTPUT SECTION.
       FILE-CONTROL.
           SELECT MOVES ASSIGN TO "MOVES"
               ORGANIZATION IS SEQUENTIAL.
       DATA DIVISION.
       FILE SECTION.
       FD  MOVES RECORD CONTAINS 80 CHARACTERS.
       COPY "invmove.cpy".
       WORKING-STORAGE SECTION.
       01  WS-DONE                     PIC X VALUE 'N'.
       01  WS-EBCDIC.
           05  FILLER                  PIC X(10) VALUE
               X'F0F1F2F3F4F5F6F7F8F9'.
           05  FILLER                  PIC X(10) VALUE
               X'C0C1C2C3C4C5C6C7C8C9'.
           05  FILLER                  PIC X(10) VALUE
               X'D0D1D2D3D4D5D6D7D8D9'.
       01  WS-ASCII                    PIC X(30) VALUE
           "0123456789{ABCDEFGHI}JKLMNOPQR".
       01  WS-QTY                      PIC -9(7).9(3).
       01  WS-UNITS                    PIC -9(7).
       01  WS-COST                     PIC -9(7).99.
       01  WS-ADJ                      PIC -9(5).
       01  WS-DESTINATION              PIC X(5).
       01  WS-ADVICE                   PIC X(11).
       01  WS-HAND                     PIC -9(7).
       01  WS-N5                       PIC 9(5).
       01  WS-N11                      PIC 9(11).
       PROCEDURE DIVISION.
       MAIN-PART.
           OPEN INPUT MOVES
           PERFORM UNTIL WS-DONE = 'Y'
               READ MOVES
                   AT END MOVE 'Y' TO WS-DONE
                   NOT AT END PERFORM SHOW-RECORD
               END-READ
           END-PERFORM
           CLOSE MOVES
           STOP RUN.
       SHOW-RECORD.
           INSPECT INV-REC-TYPE CONVERTING WS-EBCDIC TO WS-ASCII
           INSPECT INV-GTIN CONVERTING WS-EBCDIC TO WS-ASCII
           INSPECT INV-MOVE-TYPE CONVERTING WS-EBCDIC TO WS-ASCII
           INSPECT INV-EFF-DATE CONVERTING WS-EBCDIC TO WS-ASCII
           INSPECT INV-EFF-TIME CONVERTING WS-EBCDIC TO WS-ASCII
           MOVE INV-QTY TO WS-QTY
           MOVE INV-ON-HAND TO WS-HAND
           MOVE INV-ON-ORDER TO WS-UNITS
           MOVE INV-UNIT-COST TO WS-COST
           INSPECT INV-MOVE-REC (67:5) CONVERTING WS-EBCDIC TO WS-ASCII
           MOVE INV-ADJ-QTY TO WS-ADJ
           MOVE SPACES TO WS-DESTINATION WS-ADVICE
           IF INV-DESTINATION-X NOT = X'404040'
               MOVE INV-DESTINATION TO WS-N5
               MOVE WS-N5 TO WS-DESTINATION
           END-IF
           IF INV-DESPATCH-ADVICE-X NOT = X'404040404040'
               MOVE INV-DESPATCH-ADVICE TO WS-N11
               MOVE WS-N11 TO WS-ADVICE
           END-IF
           DISPLAY INV-REC-TYPE '|' INV-SEQ-NO '|' INV-STORE-NO '|'
               INV-DEPT-NO '|' INV-SKU-NO '|' INV-GTIN '|'
               INV-MOVE-TYPE '|' WS-QTY '|' WS-HAND '|' WS-UNITS '|'
               WS-COST '|' INV-EFF-DATE '|' INV-EFF-TIME '|' WS-ADJ
               '|' WS-DESTINATION '|' WS-ADVICE '|'.
